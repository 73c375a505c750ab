from dgdr_profiler.adapters.words import WORDS, Scale, prompts
from dgdr_profiler.core.cells import PromptRef

ONE_TOKEN_EACH = Scale(fixed=9, per_word=1)


def ref(number: int, isl: int = 256, osl: int = 4) -> PromptRef:
    return PromptRef(isl=isl, number=number, osl=osl)


def texts(*refs: PromptRef, seed: int = 1) -> list[str]:
    return [p.text for p in prompts(refs, ONE_TOKEN_EACH, seed)]


def test_a_prompt_has_the_tokens_that_were_asked_for() -> None:
    (text,) = texts(ref(0, isl=2048))
    assert len(text.split()) == 2048 - 9


def test_words_that_are_several_tokens_make_shorter_prompts() -> None:
    assert Scale(fixed=9, per_word=2.5).words(2048) == round(2039 / 2.5)
    assert ONE_TOKEN_EACH.words(1) == 1


def test_the_same_prompt_has_the_same_words_whatever_its_answer() -> None:
    assert len(set(texts(ref(3), ref(3, osl=96)))) == 1


def test_another_prompt_differs_from_its_first_words_on() -> None:
    first = {text.split()[0:4].__str__() for text in texts(*map(ref, range(50)))}
    assert len(first) == 50


def test_another_attempt_has_other_prompts() -> None:
    assert texts(ref(0), seed=1) != texts(ref(0), seed=2)


def test_every_word_is_as_frequent_as_the_others() -> None:
    (text,) = texts(ref(0, isl=9 + 3 * len(WORDS)))
    assert {text.split().count(word) for word in WORDS} == {3}


def test_answer_lengths_are_kept() -> None:
    assert [p.osl for p in prompts([ref(0), ref(1, osl=96)], ONE_TOKEN_EACH, 1)] == [4, 96]


def test_no_word_is_listed_twice() -> None:
    assert len(set(WORDS)) == len(WORDS)
