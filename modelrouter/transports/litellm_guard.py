"""Which of a host's litellm globals make the lane refuse.

litellm reads them in every call, whoever makes it. Each of those here would let others see the prompt, change what is
sent or where to, answer without sending, or send more than once. None of them is changed: the lane says which it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

__all__ = ["DANGEROUS", "dangerous_global"]

OWN_CALLBACK: Final = "cache"
"""What litellm itself adds to lists of callbacks; without `litellm.cache` it does nothing."""

_SEES: Final = "it would see prompts and answers"
_CHANGES: Final = "it would change what is sent"
_REDIRECTS: Final = "it would change where prompts go"
_ANSWERS: Final = "it would answer in place of the deployment"
_REPEATS: Final = "it would send prompts more than once, or to others"
_KEY: Final = "it would send a key that this deployment does not name"

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    _SEES: (
        "callbacks",
        "input_callback",
        "success_callback",
        "failure_callback",
        "service_callback",
        "_async_input_callback",
        "_async_success_callback",
        "_async_failure_callback",
        "cold_storage_custom_logger",
        "pre_call_rules",
        "post_call_rules",
        "log_raw_request_response",
        "set_verbose",
        "guardrail_name_config_map",
        "prompt_name_config_map",
        "global_prompt_manager",
        "global_prompt_directory",
        "global_bitbucket_config",
        "global_gitlab_config",
        "audit_log_callbacks",
    ),
    _CHANGES: (
        "drop_params",
        "modify_params",
        "headers",
        "add_function_to_prompt",
        "custom_prompt_dict",
        "enable_anthropic_prompt_caching",
        "enable_preview_features",
        "openai_system_messages_first",
        "reasoning_auto_summary",
        "output_parse_pii",
        "overwrite_user_with_key_hash",
        "forward_traceparent_to_llm_provider",
        "add_user_information_to_llm_headers",
        "bedrock_request_metadata_fields",
        "vertex_ai_safety_settings",
        "enable_gemini_default_thinking_level_low",
        "disable_stop_sequence_limit",
        "disable_add_transform_inline_image_block",
        "enable_json_schema_validation",
        "organization",
        "project",
    ),
    _REDIRECTS: (
        "api_base",
        "api_version",
        "model_alias_map",
        "use_litellm_proxy",
        "proxy_auth",
        "custom_provider_map",
        "route_all_chat_openai_to_responses",
        "client_session",
        "aclient_session",
        "vertex_project",
        "vertex_location",
        "proxies",
    ),
    _ANSWERS: ("cache", "network_mock", "max_budget"),
    _REPEATS: (
        "num_retries",
        "num_retries_per_request",
        "fallbacks",
        "model_fallbacks",
        "default_fallbacks",
        "context_window_fallbacks",
        "content_policy_fallbacks",
    ),
    _KEY: ("api_key", "openai_key", "anthropic_key", "credential_list", "secret_manager_client"),
}

DANGEROUS: Final[Mapping[str, str]] = {name: effect for effect, names in _NAMES.items() for name in names}
"""Globals of litellm that must be empty, false or absent, each with what it would do."""


def dangerous_global(litellm: ModuleType) -> str | None:
    """The first global that is set, in a sentence; None where all are as litellm's import leaves them.

    Args:
        litellm: the module.
    """
    held = vars(litellm)  # not `getattr`: litellm makes some of its names when they are first asked for
    for name, effect in DANGEROUS.items():
        value = held.get(name)
        if value and value != [OWN_CALLBACK]:
            return f"`litellm.{name}` is set in this process, and {effect}: unset it, or use the direct lane"
    return None
