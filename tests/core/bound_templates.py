"""Chat templates as servers render them, each with its overhead counted from its own literals, in bytes.

They are written here in the manner of templates in the field: plain ChatML, Hermes (tools as lines of JSON), Llama 3.1
(tools indented by four), one with Jinja's own `tojson` and one with Python's `repr`, and one that writes XML.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from modelrouter.core.bounds import Escapes, Overhead

if TYPE_CHECKING:
    from jinja2 import Environment, Template

    from tests.core.bound_conversations import Conversation

__all__ = ["TEMPLATES", "ChatTemplate"]

CHATML: Final = """\
{%- if messages[0].role != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' ~ message.role ~ '\\n' ~ (message.name ~ ': ' if message.name else '') }}
{{- message.reasoning_content or '' }}{{ message.content or '' }}<|im_end|>
{% endfor %}<|im_start|>assistant
"""

HERMES: Final = """\
{%- if tools %}<|im_start|>system
You may call these functions. Their signatures stand between <tools> and </tools>:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
For each call write its name and arguments as JSON between <tool_call> and </tool_call>.<|im_end|>
{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' ~ ('user' if message.role == 'tool' else message.role) }}
{%- if message.role == 'tool' %}
<tool_response>
{{ message.content }}
</tool_response>
{%- else %}
{{ '<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n' if message.reasoning_content else '' }}
{{- message.content or '' }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}
{%- endif %}<|im_end|>
{% endfor %}<|im_start|>assistant
{{ note or '' }}"""

INDENTED: Final = """\
<|begin_of_text|><|start_header_id|>system<|end_header_id|>

Cutting Knowledge Date: December 2023
{% if response_format %}Answer with JSON of this schema: {{ response_format | tojson(indent=4) }}

{% endif %}
{%- if tools %}Given the following functions, answer with a call that fits the question.

{% for tool in tools %}{{ tool | tojson(indent=4) }}

{% endfor %}{% endif %}<|eot_id|>
{%- for message in messages %}
{{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\\n\\n' }}
{%- if message.role == 'tool' %}
{{- message.content | tojson }}
{%- else %}
{{- message.reasoning_content or '' }}{{ message.content or '' }}
{%- for call in message.tool_calls or [] %}
{"name": "{{ call.function.name }}", "parameters": {{ call.function.arguments | tojson(indent=4) }}}
{%- endfor %}
{%- endif %}<|eot_id|>
{%- endfor %}<|start_header_id|>assistant<|end_header_id|>

"""

LISTED: Final = """\
{%- if tools %}TOOLS{{ tools | tojson(indent=4) }}{% endif %}
{%- if response_format %}FORM{{ response_format | tojson(indent=4) }}{% endif %}
{%- for message in messages %}
[{{ message.role }}]{{ message.content | tojson if message.role == 'tool' else message.content or '' }}
{{- message.reasoning_content or '' }}
{%- if message.tool_calls %}CALLS{{ message.tool_calls | tojson(indent=4) }}{% endif %}
{%- endfor %}
"""

PYTHON: Final = """\
{%- if tools %}TOOLS{{ tools }}{% endif %}
{%- if response_format %}FORM{{ response_format }}{% endif %}
{%- for message in messages %}
[{{ message.role }}]{{ message.content or '' }}{{ message.reasoning_content or '' }}
{%- if message.tool_calls %}CALLS{{ message.tool_calls }}{% endif %}
{%- endfor %}
"""

XML: Final = """\
{%- macro written(value) -%}
{%- if value is mapping -%}{%- for key, each in value.items() %}
<{{ key }}>{{ written(each) }}</{{ key }}>
{%- endfor %}
{%- elif value is sequence and value is not string -%}{%- for each in value %}
<item>{{ written(each) }}</item>
{%- endfor %}
{%- else -%}{{ value }}{%- endif -%}
{%- endmacro -%}
{%- if tools %}TOOLS{% for tool in tools %}{{ written(tool) }}{% endfor %}{% endif %}
{%- for message in messages %}
[{{ message.role }}]{{ message.content or '' }}{{ message.reasoning_content or '' }}
{%- for call in message.tool_calls or [] %}CALL{{ written(call) }}{% endfor %}
{%- endfor %}
"""


def _tojson(value: object, indent: int | None = None) -> str:
    """As Hugging Face's templates print it: no escapes for HTML, nothing sorted."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A template, and what it adds at most.

    Attributes:
        parses_arguments: whether the server hands the arguments of calls over as values, as vLLM does, or as text.
        own_tojson: whether `tojson` is Jinja's own, which escapes for HTML and everything beyond ASCII.
    """

    name: str
    source: str
    overhead: Overhead
    parses_arguments: bool = True
    own_tojson: bool = False

    def render(self, conversation: Conversation) -> str:
        """The prompt that a server would tokenize."""
        parameters = conversation.parameters
        extra: Any = parameters.get("chat_template_kwargs") or {}
        return _compiled(self.source, self.own_tojson).render(
            messages=[self._message(dict(message)) for message in conversation.messages],
            tools=parameters.get("tools"),
            response_format=parameters.get("response_format"),
            **extra,
        )

    def _message(self, message: dict[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        if isinstance(content, list):
            message["content"] = "\n".join(part["text"] for part in content)
        if self.parses_arguments and "tool_calls" in message:
            message["tool_calls"] = [_parsed(call) for call in message["tool_calls"]]
        return message


def _parsed(call: dict[str, Any]) -> dict[str, Any]:
    function = dict(call["function"])
    try:
        function["arguments"] = json.loads(function["arguments"])
    except ValueError:
        return call
    return {**call, "function": function}


@cache
def _compiled(source: str, own_tojson: bool) -> Template:
    environment: Environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, extensions=[loopcontrols]
    )
    if own_tojson:
        environment.policies["json.dumps_kwargs"] = {"ensure_ascii": True, "sort_keys": False}
    else:
        environment.filters["tojson"] = _tojson
    return environment.from_string(source)


def _long(text: str) -> int:
    return len(text.encode())


TEMPLATES: Final = (
    ChatTemplate(
        "chatml",
        CHATML,
        Overhead(
            per_request_tokens=_long(
                "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>assistant\n"
            ),
            per_message_tokens=_long("<|im_start|>\n: <|im_end|>\n"),
            per_toolset_tokens=0,
            per_tool_tokens=0,
            per_call_tokens=0,
            json_indent=0,
            json_escapes=Escapes.JSON,
        ),
    ),
    ChatTemplate(
        "hermes",
        HERMES,
        Overhead(
            per_request_tokens=_long("<|im_start|>assistant\n"),
            per_message_tokens=_long("<|im_start|>\n<think>\n\n</think>\n<|im_end|>\n"),
            per_toolset_tokens=_long(
                "<|im_start|>system\nYou may call these functions. Their signatures stand between <tools> and "
                "</tools>:\n<tools>\n</tools>\nFor each call write its name and arguments as JSON between <tool_call> "
                "and </tool_call>.<|im_end|>\n"
            ),
            per_tool_tokens=1,
            # a result stands in a message of the user's, whose name is no longer than that of the tool's
            per_call_tokens=_long('\n<tool_call>\n{"name": , "arguments": }\n</tool_call>'),
            json_indent=0,
            json_escapes=Escapes.JSON,
        ),
    ),
    ChatTemplate(
        "indent=4",
        INDENTED,
        Overhead(
            per_request_tokens=_long(
                "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
                "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
            ),
            per_message_tokens=_long("<|start_header_id|><|end_header_id|>\n\n<|eot_id|>"),
            per_toolset_tokens=_long(
                "Answer with JSON of this schema: \n\nGiven the following functions, answer with a call that fits the "
                "question.\n\n"
            ),
            per_tool_tokens=2,
            per_call_tokens=_long('\n{"name": "", "parameters": }'),
            json_escapes=Escapes.JSON,
        ),
    ),
    ChatTemplate(
        "indent=4, escaped",
        LISTED,
        Overhead(
            per_request_tokens=1,
            per_message_tokens=_long("\n[]CALLS[]"),
            per_toolset_tokens=_long("TOOLSFORM[]"),
            per_tool_tokens=1,
            per_call_tokens=1,
        ),
        own_tojson=True,
    ),
    ChatTemplate(
        "indent=4, arguments as text",
        LISTED,
        Overhead(
            per_request_tokens=1,
            per_message_tokens=_long("\n[]CALLS[]"),
            per_toolset_tokens=_long("TOOLSFORM[]"),
            per_tool_tokens=1,
            per_call_tokens=1,
            json_escapes=Escapes.JSON,
        ),
        parses_arguments=False,
    ),
    ChatTemplate(
        "python",
        PYTHON,
        Overhead(
            per_request_tokens=1,
            per_message_tokens=_long("\n[]CALLS[]"),
            per_toolset_tokens=_long("TOOLSFORM[]"),
            per_tool_tokens=1,
            per_call_tokens=1,
            json_indent=0,
        ),
    ),
    ChatTemplate(
        "xml",
        XML,
        Overhead(
            per_request_tokens=1,
            per_message_tokens=_long("\n[]"),
            per_toolset_tokens=_long("TOOLS"),
            per_tool_tokens=0,
            per_call_tokens=_long("CALL"),
            json_indent=0,
            json_mark_tokens=_long("\n<item></item>"),
            json_prints=2,
            json_escapes=Escapes.JSON,
        ),
    ),
)
