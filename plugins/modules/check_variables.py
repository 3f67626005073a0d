#!/usr/bin/python
"""Ansible module check_variables: documentation of the action plugin of this name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: check_variables
short_description: Check a role's variables before anything is changed
version_added: "0.1.0"
author: ClearML platform maintainers
description:
  - Run as a task of a role, it compares that role's variables with what C(meta/argument_specs.yml) declares, and
    fails with one sentence for each that is unknown, renamed, of a wrong type, not resolvable or not of the form that
    it must have. A sentence names the variable, the value and what would be right; of secrets it tells what is odd,
    never the value.
  - It runs on the controller, needs no connection to the host, and is stricter than Ansible's own validation, which
    converts what it checks and comes only when the role starts.
  - Only names of the role's prefix count as unknown, and those that are almost a name of the role's.
options:
  forms:
    description: What values must look like beyond their type.
    type: list
    elements: dict
    default: []
    suboptions:
      form:
        description: Regular expression that must be found in the value.
        type: str
        required: true
      wanted:
        description: What would be right, as the end of a sentence that begins with "it must be".
        type: str
        required: true
      variables:
        description: >-
          The variables, with V([]) for each element of a list, V(.key) for a key of a mapping, and V(.*) for all
          of its keys.
        type: list
        elements: str
        required: true
  facts:
    description: Names with the role's prefix that the role itself sets as facts, for others to use.
    type: list
    elements: str
    default: []
  made_later:
    description: Variables whose values do not exist yet at this time, because another role makes them.
    type: list
    elements: str
    default: []
  renamed:
    description: Old names, each with the name that replaces it.
    type: dict
    default: {}
  shared_prefix:
    description: >-
      Whether roles of others use the prefix as well. Then only a name that is almost one of the role's is refused.
    type: bool
    default: false
attributes:
  check_mode:
    description: It only reads, so check mode is the same.
    support: full
"""

EXAMPLES = r"""
- name: Refuse variables that are unknown or cannot be
  check_variables:
    renamed:
      web_server_port: web_http_port
    forms:
      - form: '^[1-9][0-9]*(mb|gb|tb)$'
        wanted: a size such as 5gb
        variables: [web_cache_size, 'web_disks[].size']
"""

RETURN = r"""
msg:
  description: All sentences, or that all variables are usable.
  returned: always
  type: str
"""
