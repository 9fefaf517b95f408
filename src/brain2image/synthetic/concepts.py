"""Names of concepts and files as the THINGS-EEG2 picture set has them."""

from brain2image.core.errors import InputError
from brain2image.synthetic.latents import generator

_NOUNS = """
aardvark abacus accordion acorn air_conditioner alligator anchor ant anvil apple apron armadillo ashtray axe
baby_carriage backpack bagel balloon banana banjo barrel baseball_bat basket bat1 bat2 bathtub beaver bed
bell bench bicycle binoculars birdhouse biscuit blender bolt bonsai boomerang boot bottle bow1 bow2
bowling_pin bracelet brick broom bucket bus butterfly button cabinet cactus calf1 calf2 camel candle canoe
caramel carousel carrot castle catfish cello chandelier cheese chess_piece chicken1 chicken2 chopsticks
clarinet clock coat cobweb coconut coral cork crayon crib crown cup daisy dice dog dolphin doughnut drum
eagle easel eggplant elephant eraser fan feather fire_hydrant flute fountain frog garlic goat goldfish
guitar hammer harp hat hot-air_balloon hourglass igloo iron jack-o-lantern jar kangaroo kettle key kite
ladle lantern lemon lobster magnet mailbox mango mask mirror mitten mushroom necklace nest oar onion owl
paintbrush panda peacock pencil piano pineapple pretzel pumpkin quilt rabbit radish robot rocking_chair
saddle sailboat scissors seahorse shell skateboard snail snowman spoon squirrel starfish suitcase t-shirt
teapot telescope tent tiger tractor trumpet turtle umbrella vase violin waffle walnut whale wheelbarrow
whisk xylophone yo-yo zebra zipper
"""
_MATERIALS = "brass ceramic copper crystal glass golden ivory marble paper plastic silver velvet wooden"


def concept_names(n_concepts: int, n_test_concepts: int, *, seed: int) -> tuple[list[str], list[str]]:
    """Draw names of training and test concepts, disjoint, each list sorted."""
    rng = generator(seed, "concept names")
    nouns = _NOUNS.split()
    # A material before a noun makes as many further names as anyone simulates.
    materials = [f"{material}_{noun}" for material in _MATERIALS.split() for noun in nouns]
    names = [*rng.permutation(nouns), *rng.permutation(materials)]
    n_names = n_concepts + n_test_concepts
    if n_names > len(names):
        raise InputError(
            f"simulate: n_concepts and n_test_concepts need {n_names} names and there are {len(names)}; "
            "ask for fewer concepts"
        )
    chosen = [str(name) for name in rng.permutation(names[:n_names])]
    return sorted(chosen[:n_concepts]), sorted(chosen[n_concepts:])


def image_metadata(
    training: list[str], test: list[str], images_per_concept: int, *, seed: int
) -> dict[str, list[str]]:
    """Make the six lists of THINGS-EEG2's ``image_metadata.npy`` (https://osf.io/qkgtf), one entry a picture.

    Folder prefixes count from 00001 in each partition; in the ``_THINGS`` lists they count through both.
    """
    rng = generator(seed, "file names")
    rank = {name: number for number, name in enumerate(sorted(training + test), start=1)}
    endings = [f"{number:02d}{_source(number)}" for number in range(1, images_per_concept + 1)]
    numbers = rng.integers(1, 13, size=len(test))
    each = range(images_per_concept)
    return {
        "train_img_concepts": [f"{i:05d}_{name}" for i, name in enumerate(training, start=1) for _ in each],
        "train_img_files": [f"{name}_{ending}.jpg" for name in training for ending in endings],
        "train_img_concepts_THINGS": [f"{rank[name]:05d}_{name}" for name in training for _ in each],
        "test_img_concepts": [f"{i:05d}_{name}" for i, name in enumerate(test, start=1)],
        "test_img_files": [
            f"{name}_{n:02d}{_source(n)}.jpg" for name, n in zip(test, numbers.tolist(), strict=True)
        ],
        "test_img_concepts_THINGS": [f"{rank[name]:05d}_{name}" for name in test],
    }


def _source(number: int) -> str:
    """Return THINGS' letter for where a picture comes from, by its usual place in the list."""
    return "b" if number == 1 else "n" if number > 10 else "s"
