"""Made descriptions in the form of apt's files: 60 packages of 30 sources, German and English."""

from __future__ import annotations

COLOURS = {"rotes": "red", "blaues": "blue", "altes": "old", "neues": "new", "grosses": "large"}
THINGS = {"Haus": "house", "Buch": "book", "Bild": "picture", "Programm": "program"}


def files(sources: int = 30) -> tuple[str, str, str]:
    """Packages, Translation-de and Translation-en."""
    packages, german, english = [], [], []
    adjectives, nouns = [*COLOURS.items()], [*THINGS.items()]
    for number in range(2 * sources):
        name, source = f"made-{number}", f"source-{number // 2}"
        adjective, noun = adjectives[number % 5], nouns[number % 4]
        packages.append(f"Package: {name}\nSource: {source} (1.0)\nVersion: 1")
        md5 = f"{number:032x}"
        german.append(
            f"Package: {name}\nDescription-md5: {md5}\n"
            f"Description-de: Ein {adjective[0]} {noun[0]} Nummer {number}\n"
            f" Hier steht ein {adjective[0]}\n {noun[0]} von {number}.\n .\n Gruss {number} Ende"
        )
        english.append(
            f"Package: {name}\nDescription-md5: {md5}\n"
            f"Description-en: A {adjective[1]} {noun[1]} number {number}\n"
            f" Here stands a {adjective[1]}\n {noun[1]} of {number}.\n .\n Greeting {number} end"
        )
    return tuple("\n\n".join(entries) + "\n" for entries in (packages, german, english))
