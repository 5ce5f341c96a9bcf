"""The gateway as a systemd service: its units, its user, its rights, and how they come and go."""

from spark_control.service.answering import last_words, no_good_answer
from spark_control.service.chosen import Chosen, choose
from spark_control.service.installing import to_install, to_remove, to_start
from spark_control.service.program import this_program, with_sudo
from spark_control.service.rights import rights_to_give
from spark_control.service.steps import Step, StepFailed, do
from spark_control.service.units import CannotInstall, Program

__all__ = [
    "CannotInstall",
    "Chosen",
    "Program",
    "Step",
    "StepFailed",
    "choose",
    "do",
    "last_words",
    "no_good_answer",
    "rights_to_give",
    "this_program",
    "to_install",
    "to_remove",
    "to_start",
    "with_sudo",
]
