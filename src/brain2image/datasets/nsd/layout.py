"""Names of the files of MindEye2's release, and of the parts of the picture set."""

BETAS = "betas_all_{person}_fp32_renorm.hdf5"
INDICES, SHARED1000 = "COCO_73k_subj_indices.hdf5", "shared1000.npy"
PIXELS = "coco_images_224_float16.hdf5"
SHARED = "shared"  # the part of the pictures that several people saw
