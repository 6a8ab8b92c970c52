"""Letters, written from templates: `templates/KIND.jinja`, or `KIND.LANGUAGE.jinja` beside it.

One template makes both forms, so text and HTML say the same; what a paragraph, a link or a code
looks like is in `parts.txt` and `parts.html`, the page around it in `letter.txt` and `letter.html`.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import attrs

from finora_core.mail.model import Letter, Message, Sender
from finora_core.mail.ports import MailUnavailable

TEMPLATES = Path(__file__).parent / "templates"
ENGLISH = "en"

Form = Literal["txt", "html"]


@attrs.define(slots=False)  # for cached_property
class TemplateLetters:
    """`folders` are looked through in order."""

    sender: Sender
    folders: tuple[Path, ...] = (TEMPLATES,)

    def write(self, letter: Letter) -> Message:
        subject, text = self._written(letter, "txt")
        _, html = self._written(letter, "html")
        return Message(
            to=letter.to,
            subject=subject,
            text=text,
            html=html,
            message_id=f"{letter.id}@{self.sender.address.domain.casefold()}",
        )

    def _written(self, letter: Letter, form: Form) -> tuple[str, str]:
        """Subject and whole text."""
        found = self._environments[form]
        said = {**letter.values, "name": self.sender.name}
        language, template = self._template(found, letter)
        module = template.make_module(said)
        page = said | {"subject": str(module.subject), "body": module, "language": language}
        return page["subject"], found.get_template(f"letter.{form}").render(page)

    def _template(self, found: Any, letter: Letter) -> tuple[str, Any]:
        from jinja2 import TemplateNotFound

        for language in (letter.locale, letter.locale.partition("-")[0]):
            try:
                return language, found.get_template(f"{letter.kind}.{language}.jinja")
            except TemplateNotFound:
                continue
        return ENGLISH, found.get_template(f"{letter.kind}.jinja")

    @cached_property
    def _environments(self) -> dict[Form, Any]:
        try:
            from jinja2 import Environment, FileSystemLoader, StrictUndefined
        except ModuleNotFoundError as error:
            raise MailUnavailable("letters need jinja2: install finora[mail]") from error

        def environment(form: Form) -> Any:
            made = Environment(
                loader=FileSystemLoader(self.folders),
                autoescape=form == "html",
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
            )
            made.globals["parts"] = f"parts.{form}"
            return made

        return {"txt": environment("txt"), "html": environment("html")}
