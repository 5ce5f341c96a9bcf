"""The voices of the embedded speaker: Magpie's names, and what espeak-ng makes of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Voice:
    """A Magpie name, and how espeak imitates it."""

    name: str
    variant: str
    words_per_minute: int
    pitch: int

    @property
    def locale(self) -> str:
        language, region = self.name.split(".")[1].split("-")
        return f"{language.lower()}-{region}"


# All of them are among espeak's Klatt variants. PocketSphinx understands those, missing 1 to 15 words in a hundred
# where it misses 30 to 80 of most others; and they are steady: a variant with breath, like f2 or f5, does not
# always say the same words as the same samples, even freshly loaded.
VOICES = {
    voice.name: voice
    for voice in (
        Voice(f"Magpie-Multilingual.{speaker}", variant, words_per_minute, pitch)
        for speaker, variant, words_per_minute, pitch in (
            ("EN-US.Mia", "en-us+edward", 175, 50),
            ("EN-US.Mia.Calm", "en-us+edward", 150, 45),
            ("EN-US.Mia.Happy", "en-us+edward", 190, 70),
            ("EN-US.Jason", "en-us+edward", 170, 30),
            ("EN-US.Aria", "en-us+klatt3", 175, 60),
            ("EN-US.Leo", "en-us+klatt4", 165, 35),
            ("EN-US.Sofia", "en-us+klatt5", 175, 65),
            ("EN-US.Diego", "en-us+edward2", 175, 30),
            ("EN-US.Isabela", "en-us+klatt4", 170, 70),
            ("EN-US.Louise", "en-us+klatt5", 165, 45),
            ("EN-US.Pascal", "en-us+klatt4", 175, 50),
            ("EN-US.Ray", "en-us+edward2", 165, 65),
            ("ES-US.Diego", "es-419+edward2", 165, 40),
            ("ES-US.Isabela", "es-419+klatt4", 165, 65),
            ("FR-FR.Pascal", "fr+edward", 165, 45),
            ("FR-FR.Pascal.Happy", "fr+edward", 180, 65),
            ("FR-FR.Louise", "fr+klatt5", 165, 55),
            ("DE-DE.Sofia", "de+klatt5", 165, 60),
            ("DE-DE.Mia", "de+edward", 165, 50),
            ("IT-IT.Isabela", "it+klatt4", 165, 65),
            ("IT-IT.Pascal", "it+edward", 165, 45),
            ("PT-BR.Diego", "pt-br+edward2", 165, 40),
            ("ZH-CN.HouZhen", "cmn+edward", 160, 45),
            ("ZH-CN.Siwei", "cmn+klatt4", 160, 65),
        )
    )
}
