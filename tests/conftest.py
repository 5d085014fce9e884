"""Fixtures: a corpus of a few dozen rows, the small model trained on it, and the command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import consentclf
from consentclf.cli import main
from consentclf.features import FeatureSettings
from consentclf.training import corpus, fit

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

ROWS: dict[str, list[str]] = {
    "article": [
        "The ferry to the northern islands was cancelled for the third day because of high wind.",
        "Regulators fined the retailer for setting cookies before visitors had given their consent.",
        "Two goals in the last ten minutes gave the home side a place in the quarter-final.",
        "Whisk the eggs with the sugar until pale, then fold in the flour by hand.",
        "Die Gemeinde will die alte Brücke bis zum Herbst für 2,3 Millionen Euro erneuern.",
        "Der Verein verlor das Spiel, obwohl er lange geführt hatte.",
        "Le maire a promis que la bibliothèque rouvrirait avant la rentrée scolaire.",
        "Les vendanges ont commencé deux semaines plus tôt que l'an dernier.",
        "El río creció durante la noche y cortó la carretera principal del valle.",
        "La exposición reúne cuarenta cuadros que nunca se habían mostrado juntos.",
        "« On n'avait jamais vu autant de neige en avril », raconte un berger.",
        "Researchers counted fewer swallows this spring than in any year since 1998.",
    ],
    "consent": [
        "We and our 112 partners use cookies to store and access information on your device.",
        "Accept all cookies",
        "You can withdraw your consent at any time through the privacy settings.",
        "Reject non-essential cookies",
        "Wir verwenden Cookies und ähnliche Techniken, um unser Angebot zu verbessern.",
        "Alle Cookies akzeptieren",
        "Nous utilisons des cookies pour mesurer l'audience de ce site.",
        "Tout refuser et continuer sans accepter les cookies",
        "Utilizamos cookies propias y de terceros para analizar su navegación.",
        "Aceptar todas las cookies",
        "Strictly necessary cookies are always active.",
        "By continuing to browse you agree to our use of cookies.",
    ],
    "banner": [
        "Subscribe to our newsletter and get the best stories in your inbox.",
        "You have read your last free article. Subscribe for one pound a week.",
        "Please turn off your ad blocker to go on reading.",
        "Download our app for breaking news alerts.",
        "Jetzt Newsletter abonnieren und nichts mehr verpassen!",
        "Bitte schalten Sie Ihren Werbeblocker aus.",
        "Abonnez-vous pour lire la suite de cet article.",
        "Suivez-nous sur les réseaux sociaux pour ne rien manquer !",
        "Suscríbete ahora y lee sin límites por un euro al mes.",
        "Descarga nuestra aplicación gratis.",
        "Advertisement",
        "Support independent journalism: donate today.",
    ],
    "navigation": [
        "Home | News | Sport | Culture | Contact",
        "Share on Facebook Share on X Copy link",
        "© 2024 Example Media. All rights reserved.",
        "Privacy policy · Terms of use · Imprint",
        "Startseite Politik Wirtschaft Sport Kultur",
        "Lesen Sie auch: Was der neue Fahrplan bringt",
        "Accueil > Région > Faits divers",
        "Partager Imprimer Envoyer par e-mail",
        "Inicio Deportes Economía Opinión",
        "Página 1 de 12 Siguiente »",
        "Next page »",
        "Most read",
    ],
}
LANGS = ("en", "en", "en", "en", "de", "de", "fr", "fr", "es", "es", "fr", "en")
PAGE = [("navigation", 0), ("navigation", 1), ("article", 0), ("article", 1), ("article", 2), ("banner", 0),
        ("article", 11), ("navigation", 10), ("consent", 0), ("consent", 1), ("consent", 3)]  # fmt: skip


def corpus_lines() -> list[str]:
    """The small corpus as JSON Lines: every row from a source of its own, and eight pages made of them."""
    lines = [
        json.dumps({"text": text, "label": label, "lang": lang, "source": f"{label}-{i}"}, ensure_ascii=False)
        for label, texts in ROWS.items()
        for i, (text, lang) in enumerate(zip(texts, LANGS, strict=True))
    ]
    for number in range(8):
        paragraphs = [{"text": ROWS[k][(i + number) % 12], "label": k} for k, i in PAGE]
        page = {"id": f"p{number}", "lang": "en", "source": f"site{number}", "paragraphs": paragraphs}
        lines.append(json.dumps(page, ensure_ascii=False))
    return lines


def train_small(path: Path, seed: int = 1) -> fit.Result:
    """Train on a file, with a table small enough that tests stay quick."""
    settings = fit.Settings(features=FeatureSettings(bits=12), seed=seed, jobs=1)
    return fit.train(corpus.read([path]), settings)


@pytest.fixture(scope="session")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "small.jsonl"
    path.write_text("\n".join(corpus_lines()) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(corpus_file: Path) -> fit.Result:
    return train_small(corpus_file)


@pytest.fixture(scope="session")
def small_model(trained: fit.Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    trained.model.save(path)
    return path


@pytest.fixture(scope="session")
def classifier(small_model: Path) -> consentclf.Classifier:
    """The small model, so that tests of behaviour do not hang on the shipped one."""
    return consentclf.load(small_model)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return [text for rows in ROWS.values() for text in rows]


@pytest.fixture(scope="session")
def page_text() -> str:
    """A page as an extractor leaves it: one line a paragraph, blank lines here and there."""
    lines = [ROWS[k][i] for k, i in PAGE]
    return "\n".join(lines[:4]) + "\n\n\n" + "\n".join(lines[4:6]) + "\r\n\r\n" + "\n".join(lines[6:]) + "\n"


@pytest.fixture
def run(small_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command in this process: ``run("predict", "-", input=b"...")``."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def call(*args: str | Path, input: bytes | str | None = None) -> Result:
        result = CliRunner().invoke(main, [str(arg) for arg in args], input=input)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    @property
    def site_packages(self) -> Path:
        return next(self.folder.glob("[Ll]ib/**/site-packages"))

    def run(self, command: str, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a command installed in the environment, in a folder, with nothing of ours on its path."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        return subprocess.run(
            [str(self.bin / command), *args], cwd=cwd, env=clean, capture_output=True, text=True, timeout=300,
            encoding="utf-8",
        )  # fmt: skip


def make_environment(folder: Path, wheel: Path, packages: list[str]) -> Environment:
    """A fresh environment with the wheel installed, and those packages shared from the one the tests run in.

    Sharing needs no network; what is not named cannot be imported there.
    """
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    environment = Environment(folder)
    python = str(environment.bin / "python")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            str(wheel),
        ],
        check=True,
    )
    for name in packages:
        for source in (p / n for p in map(Path, sys.path) for n in (name, f"{name}.libs", f"{name}.py")):
            target = environment.site_packages / source.name
            if source.exists() and not target.exists():
                target.symlink_to(source)
    return environment


def modules_of(*distributions: str) -> list[str]:
    """Top-level modules of distributions and of all that they require."""
    provided: dict[str, list[str]] = {}
    for module, names in metadata.packages_distributions().items():
        for name in names:
            provided.setdefault(re.sub(r"[-_.]+", "-", name).lower(), []).append(module)
    seen: set[str] = set()
    queue = list(distributions)
    while queue:
        name = re.sub(r"[-_.]+", "-", queue.pop()).lower()
        if name in provided and name not in seen:
            seen.add(name)
            needed = [line for line in metadata.requires(name) or [] if "extra ==" not in line]
            queue += [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed]
    return sorted(module for name in seen for module in provided[name])


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built once, through the sdist as ``python -m build`` does it."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def slim(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel, numpy and click: what a slim crawler installs."""
    return make_environment(tmp_path_factory.mktemp("slim") / "env", wheel, ["numpy", "click"])


@pytest.fixture(scope="session")
def shared_seed() -> Path:
    """The founding page, which is not the project's to carry: without it the test is skipped, and says so."""
    path = SHARED / "eval" / "seed_rt_fr.txt"
    if not path.exists():
        pytest.skip(f"NOT TESTED: {path} is not on this machine")
    return path
