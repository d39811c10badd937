"""The estimate holds against real temporary speech, and is arithmetic on the text alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.sound.speech import speak, voice_for
from storyboards.speech_length import delivery_rate, estimate_speech_s

LINES = {
    "en": (
        "It never went out.",
        "Not once in forty years, not even in the great storm.",
        "Where were you when the lights failed?",
        "Run! They are right behind us!",
        "I counted 42 steps up to the gallery.",
        "Listen, whatever happens tonight, you stay in the boat until I come back for you.",
        "Yes.",
        "The strength of the springs stretched the straps.",
        "We have a beautiful opportunity to celebrate our anniversary together.",
        "Well, well, well... look who finally came home.",
        "My grandmother used to say that the sea gives and the sea takes.",
        "She was born in 1984, in a small house by the harbour, and she never left it.",
    ),
    "fr": (
        "Elle ne s'est jamais éteinte.",
        "Pas une seule fois en quarante ans, pas même pendant la grande tempête.",
        "Où étais-tu quand les lumières sont tombées ?",
        "Cours ! Ils sont juste derrière nous !",
        "J'ai compté 42 marches jusqu'à la galerie.",
        "Écoute, quoi qu'il arrive ce soir, tu restes dans le bateau.",
        "Oui.",
        "Les enfants regardaient les vagues en silence.",
        "Nous avons une belle occasion de fêter notre anniversaire.",
        "Eh bien, regarde qui rentre enfin à la maison.",
        "Ma grand-mère disait que la mer donne et que la mer reprend.",
        "Je voudrais seulement dormir, et ne plus penser à rien.",
    ),
    "de": (
        "Es ist nie ausgegangen.",
        "Nicht ein einziges Mal in vierzig Jahren, nicht einmal im großen Sturm.",
        "Wo warst du, als das Licht ausfiel?",
        "Lauf! Sie sind direkt hinter uns!",
        "Ich habe 42 Stufen bis zur Galerie gezählt.",
        "Hör zu, egal was heute Nacht passiert, du bleibst im Boot.",
        "Ja.",
        "Der Leuchtturmwärter schließt die schwere Eisentür.",
        "Wir haben eine wunderbare Gelegenheit, unseren Jahrestag zu feiern.",
        "Na, schau mal, wer endlich nach Hause kommt.",
        "Meine Großmutter sagte immer, das Meer gibt und das Meer nimmt.",
        "Ich möchte nur schlafen und an nichts mehr denken.",
    ),
    "es": (
        "Nunca se apagó.",
        "Ni una sola vez en cuarenta años, ni siquiera en la gran tormenta.",
        "¿Dónde estabas cuando se fue la luz?",
        "¡Corre! ¡Están justo detrás de nosotros!",
        "Conté 42 escalones hasta la galería.",
        "Escucha, pase lo que pase esta noche, quédate en el barco.",
        "Sí.",
        "Los niños miraban las olas en silencio.",
        "Tenemos una hermosa oportunidad para celebrar nuestro aniversario.",
        "Vaya, mira quién vuelve por fin a casa.",
        "Mi abuela decía que el mar da y el mar quita.",
        "Sólo quiero dormir y no pensar en nada más.",
    ),
    "it": (
        "Non si è mai spenta.",
        "Nemmeno una volta in quarant'anni, neanche nella grande tempesta.",
        "Dov'eri quando è mancata la luce?",
        "Corri! Sono proprio dietro di noi!",
        "Ho contato 42 gradini fino alla galleria.",
        "Ascolta, qualunque cosa succeda stanotte, resta sulla barca.",
        "Sì.",
        "I bambini guardavano le onde in silenzio.",
        "Abbiamo una bella occasione per festeggiare il nostro anniversario.",
        "Guarda chi torna finalmente a casa.",
        "Mia nonna diceva che il mare dà e il mare prende.",
        "Vorrei soltanto dormire e non pensare più a niente.",
    ),
    "ja": (
        "ひは いちども きえなかった。",
        "よんじゅうねんかん、いちども。あの おおあらしの よるも。",
        "あかりが きえたとき、どこに いたの？",
        "はしれ！すぐうしろに いるぞ！",
        "かいだんを かぞえました。",
        "いいか、こんや なにがあっても、ふねから おりるな。",
        "はい。",
        "こどもたちは しずかに なみを みていた。",
        "わたしたちの きねんびを いわいましょう。",
        "やっと かえってきたね。",
        "うみは あたえ、うみは うばうと そぼは いっていた。",
        "ただ ねむりたい。なにも かんがえたくない。",
    ),
    "zh": (
        "它从来没有熄灭过。",
        "四十年来一次也没有，连那场大风暴也没有。",
        "停电的时候你在哪里？",
        "快跑！他们就在我们后面！",
        "我数了数，有很多级台阶。",
        "听着，不管今晚发生什么，你都要留在船上。",
        "是的。",
        "孩子们静静地看着海浪。",
        "我们有一个很好的机会庆祝纪念日。",
        "看看是谁终于回家了。",
        "我奶奶常说，大海给予，大海也夺走。",
        "我只想睡觉，什么都不想。",
    ),
    "ko": (
        "불은 한 번도 꺼진 적이 없어요.",
        "사십 년 동안 한 번도, 그 큰 폭풍 속에서도요.",
        "불이 나갔을 때 어디 있었어요?",
        "뛰어! 바로 뒤에 있어!",
        "계단을 모두 세어 봤어요.",
        "잘 들어, 오늘 밤 무슨 일이 있어도 배에 남아 있어.",
        "네.",
        "아이들은 조용히 파도를 바라보았다.",
        "우리의 기념일을 함께 축하할 좋은 기회예요.",
        "드디어 집에 돌아왔구나.",
        "할머니는 바다가 주고 바다가 가져간다고 하셨어요.",
        "그냥 자고 싶어. 아무 생각도 하기 싫어.",
    ),
}


@pytest.mark.parametrize("lang", sorted(LINES))
def test_real_speech_fits_the_estimate_and_fills_most_of_it(lang: str) -> None:
    voice = voice_for("narrator", lang, "man")
    with ThreadPoolExecutor(2) as pool:
        spoken = list(pool.map(lambda line: speak(line, voice).seconds, LINES[lang]))
    ratios = np.array(
        [
            float(estimate_speech_s(line, lang)) / seconds
            for line, seconds in zip(LINES[lang], spoken, strict=True)
        ]
    )
    assert (ratios >= 1).mean() >= 0.9, ratios.round(2)
    assert 1.05 <= np.median(ratios) <= 1.25, ratios.round(2)
    # A very short line carries the same breath as a long one, so its share is larger.
    assert ratios.max() <= 1.8, ratios.round(2)


def test_over_all_languages_nearly_every_line_fits() -> None:
    fits = []
    for lang, lines in LINES.items():
        voice = voice_for("other", lang, "woman")
        with ThreadPoolExecutor(2) as pool:
            spoken = pool.map(lambda line, voice=voice: speak(line, voice).seconds, lines)
            fits += [
                float(estimate_speech_s(line, lang)) >= seconds
                for line, seconds in zip(lines, spoken, strict=True)
            ]
    assert np.mean(fits) >= 0.95


@pytest.mark.parametrize("text", ["", "   ", "...", "—", "\x00\n"])
def test_nothing_to_say_takes_no_time(text: str) -> None:
    assert estimate_speech_s(text) == 0


@given(st.text(max_size=200), st.sampled_from(["en", "fr-FR", "ja", "zh-CN", "xx", ""]))
def test_any_text_gives_an_exact_length_that_never_shrinks_with_more_words(
    text: str, lang: str
) -> None:
    length = estimate_speech_s(text, lang)
    assert isinstance(length, Fraction)
    assert estimate_speech_s(text + " hello", lang) > length >= 0


def test_delivery_changes_the_pace() -> None:
    line = "We should have gone home an hour ago."
    slow, plain, fast = (estimate_speech_s(line, "en", how) for how in ("slowly", "", "urgent"))
    assert slow > plain > fast
    assert delivery_rate("slow, sad, weary, tired") == Fraction(7, 10)


def test_the_value_is_pinned_because_shot_keys_depend_on_it() -> None:
    for lang in ("en", "en-GB", "EN_us"):
        assert estimate_speech_s("It never went out.", lang) == Fraction(289, 200)
