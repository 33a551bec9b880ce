"""The instruction registry: the one home of the strings that the model was trained to follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Instruction:
    """One instruction.  Templates are used byte for byte, leading and double spaces included.

    template: text with a `{}` for each field; needs_image: whether the example carries a picture;
    paraphrases: templates of the same meaning with the same fields, for robustness studies only;
    more_paraphrases: further ones, which compact vocabularies do not learn: they, and the results
    of models that use them, stay what they were.
    """

    name: str
    template: str
    needs_image: bool
    paraphrases: tuple[str, ...]
    more_paraphrases: tuple[str, ...] = ()

    @property
    def num_fields(self) -> int:
        """Number of `{}` in the template."""
        return self.template.count("{}")

    def fill(self, *fields: str) -> str:
        """Template with its fields in place.  Raises ValueError on a wrong number of fields."""
        if len(fields) != self.num_fields:
            raise ValueError(
                f"instruction {self.name!r} takes {self.num_fields} fields, found {len(fields)}"
            )
        return self.template.format(*fields)

    def paraphrased(self, index: int) -> Instruction:
        """The same instruction with paraphrase `index` (modulo their number) as its template."""
        return replace(self, template=self.paraphrases[index % len(self.paraphrases)])

    def wordings(self) -> tuple[Instruction, ...]:
        """This instruction in each of its wordings, its own template first."""
        others = (*self.paraphrases, *self.more_paraphrases)
        return (self, *(replace(self, template=text) for text in others))


def _registry(instructions: Iterable[Instruction]) -> dict[str, Instruction]:
    registry: dict[str, Instruction] = {}
    for instruction in instructions:
        if instruction.name in registry:
            raise ValueError(f"instruction names must be unique, found {instruction.name!r} twice")
        registry[instruction.name] = instruction
    return registry


_DESCRIBE_IMAGE = (
    " what does the picture show?",
    " what can be seen in the image?",
    " describe the image.",
    " what is depicted in the image?",
)

INSTRUCTIONS: dict[str, Instruction] = _registry(
    [
        Instruction("caption", " what does the image describe?", True, _DESCRIBE_IMAGE),
        Instruction("image_classify", " what does the image describe?", True, _DESCRIBE_IMAGE),
        Instruction(
            "matching",
            ' does the image describe " {} "?',
            True,
            (
                ' does the picture show " {} "?',
                ' is " {} " a description of the image?',
                ' does the text " {} " match the image?',
                ' is the image described by " {} "?',
            ),
        ),
        Instruction(
            "qa",
            " {}",
            True,
            (" question: {}", " answer the question: {}", " please answer: {}"),
        ),
        Instruction(
            "verification",
            ' what is the answer to question " {} ". is " {} "?',
            True,
            (
                ' the question is " {} ". is the answer " {} "?',
                ' for the question " {} ", is " {} " the answer?',
                ' is the answer to question " {} " equal to " {} "?',
                ' does question " {} " have the answer " {} "?',
            ),
        ),
        Instruction(
            "grounding",
            ' which region does the text " {} " describe?',
            True,
            (
                ' which region matches the text " {} "?',
                ' where in the image is " {} "?',
                ' what is the position of " {} " in the image?',
                ' locate " {} " in the image.',
            ),
        ),
        # The four bin tokens of the region follow at once.
        Instruction(
            "grounded_caption",
            "  what does the region describe? region:",
            True,
            (
                "  what does the region show? region:",
                "  what can be seen in the region? region:",
                "  describe the region. region:",
                "  what is depicted in the region? region:",
            ),
        ),
        # The corrupted text goes before the last two tokens, that is between the quotation marks.
        Instruction(
            "text_infill",
            ' what is the complete text of " "?',
            False,
            (
                ' what is the full text of " "?',
                ' what is the original text of " "?',
                ' which text is missing in " "?',
                ' what are the missing words of " "?',
            ),
        ),
        Instruction(
            "image_infill",
            " what is the image in the middle part?",
            True,
            (
                " what is in the middle part of the image?",
                " what is missing in the middle of the image?",
                " what does the center of the image look like?",
            ),
        ),
        Instruction(
            "detection",
            " what are the objects in the image?",
            True,
            (
                " which objects are in the image?",
                " what objects does the image contain?",
                " list the objects in the image.",
                " which objects can be seen in the image?",
            ),
        ),
        # The question is the instruction: other wordings lead up to it.
        Instruction(
            "vqa",
            " {}",
            True,
            (" question: {}", " answer the question: {}", " please answer: {}"),
            (" look at the image and answer: {}", " consider the image. {}"),
        ),
        # A suffix of the vqa source, not an instruction of its own.
        Instruction(
            "objects",
            " object: {}",
            True,
            (" objects: {}", " visible objects: {}", " the image contains: {}"),
        ),
        Instruction(
            "mnli",
            ' can text1 " {} " imply text2 " {} "?',
            False,
            (
                ' does text1 " {} " imply text2 " {} "?',
                ' does text2 follow from text1? text1 " {} " text2 " {} "?',
                ' given text1 " {} ", is text2 " {} " true?',
                ' if text1 is " {} ", does text2 " {} " hold?',
            ),
        ),
        # A second text joins the first with `" text2 "` between them.
        Instruction(
            "text_classify",
            ' what is the class of text1 " {} "?',
            False,
            (
                ' what is the category of text1 " {} "?',
                ' which class does text1 " {} " belong to?',
                ' what is the label of text1 " {} "?',
                ' classify text1 " {} ".',
            ),
        ),
        Instruction(
            "summary",
            ' what is the summary of article " {} "?',
            False,
            (
                ' what is a short summary of article " {} "?',
                ' how can article " {} " be summarized?',
                ' summarize article " {} ".',
                ' what is the main point of article " {} "?',
            ),
        ),
    ]
)

# The three verdicts of inference between texts and of matching; each is one token.
ANSWER_WORDS = ("yes", "no", "maybe")


def register_instruction(instruction: Instruction) -> Instruction:
    """Add a row to the registry, for a task that lives outside of this package.

    Raises ValueError when the name is taken.
    """
    if INSTRUCTIONS.setdefault(instruction.name, instruction) != instruction:
        raise ValueError(f"instruction {instruction.name!r} is registered already; choose a name")
    return instruction


def get_instruction(name: str) -> Instruction:
    """The instruction of that name.  Raises ValueError that lists the known names."""
    try:
        return INSTRUCTIONS[name]
    except KeyError:
        known = ", ".join(sorted(INSTRUCTIONS))
        raise ValueError(f"unknown instruction {name!r}; known are {known}") from None
