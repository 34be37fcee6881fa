"""Django's `{% csrf_token %}`, which every form has: where an operator may choose a collection, it
says as well which one the page shows. The settings put it in the place of Django's.
"""

from typing import Any

from django import template
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaulttags import CsrfTokenNode
from django.utils.html import format_html

from facesvc.operators import door

register = template.Library()


class FormNode(CsrfTokenNode):
    def render(self, context: Context) -> Any:
        found, allowed = door.shown(context.get("request"))
        hidden = super().render(context)
        if len(allowed) < 2 or not hidden:
            return hidden
        field = '{}<input type="hidden" name="{}" value="{}">'
        return format_html(field, hidden, door.SHOWN, found.number)


@register.tag("csrf_token")
def csrf_token(parser: Parser, token: Token) -> FormNode:
    return FormNode()
