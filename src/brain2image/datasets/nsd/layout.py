"""Names of the files of MindEye2's release and of NSD's own, and of the parts of the picture set."""

BETAS = "betas_all_{person}_fp32_renorm.hdf5"
INDICES, SHARED1000 = "COCO_73k_subj_indices.hdf5", "shared1000.npy"
PIXELS = "coco_images_224_float16.hdf5"
# Of NSD's own release, below `nsddata` (NSD data manual, "ROIs", "Spaces for imaging data", "FreeSurfer").
MASK = "ppdata/{person}/func1pt8mm/roi/nsdgeneral.nii.gz"
SURFACES = tuple(
    path
    for side in ("lh", "rh")
    for path in (
        f"freesurfer/{{person}}/surf/{side}.inflated",
        f"freesurfer/{{person}}/surf/{side}.sulc",
        f"ppdata/{{person}}/transforms/{side}.func1pt8-to-layerB2.mgz",  # in the middle of the grey matter
    )
)
SHARED = "shared"  # the part of the pictures that several people saw
