"""Slurm's variables do not count in an interactive shell that merely inherited them.

`srun --ntasks=4 --pty bash`, then `python train.py`: one process with the variables of task 0.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from test_shards import alone, set_variables

from pyloader._distributed import ranks
from pyloader._distributed.shards import find_shard

__all__ = ["alone"]  # a fixture that every test uses

STEP = {
    **{"SLURM_JOB_ID": 7, "SLURM_STEP_ID": 0, "SLURM_PROCID": 0, "SLURM_STEP_NUM_TASKS": 4},
    **{"SLURM_NTASKS": 4, "SLURM_NPROCS": 4},
}
TERMINAL = {"SLURM_JOB_NAME": "bash", "SLURM_PTY_PORT": 40001, "SLURM_PTY_WIN_COL": 80}
SHELL = (0, 1, "interactive Slurm shell")
TASK = (0, 4, "environment (SLURM_PROCID, SLURM_STEP_NUM_TASKS)")


def test_the_variables_of_an_interactive_slurm_shell_do_not_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="pyloader")
    set_variables(monkeypatch, **STEP, **TERMINAL)
    assert find_shard("auto") == SHELL
    assert caplog.messages == [
        "shard='auto': part 0 of 1 (from 0), found through: interactive Slurm shell"
    ]
    monkeypatch.delenv("SLURM_PTY_PORT")
    assert find_shard("auto") == SHELL
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    assert find_shard("auto") == SHELL
    set_variables(monkeypatch, SLURM_TASK_PID=2**30)  # in another namespace than this process
    assert find_shard("auto") == SHELL


def test_what_a_launcher_starts_in_a_slurm_shell_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, **STEP, **TERMINAL, RANK=1, WORLD_SIZE=2)
    assert find_shard("auto")[:2] == (1, 2)
    set_variables(monkeypatch, RANK=0)
    assert find_shard("auto")[:2] == (0, 2)


def test_pmi_variables_of_a_slurm_shell_count_only_if_an_mpiexec_set_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_variables(monkeypatch, **STEP, PMI_RANK=0, PMI_SIZE=4)  # srun --mpi=pmi2
    assert find_shard("auto") == (0, 4, "environment (PMI_RANK, PMI_SIZE)")
    set_variables(monkeypatch, **TERMINAL)
    assert find_shard("auto") == SHELL
    set_variables(monkeypatch, MPI_LOCALNRANKS=4)
    assert find_shard("auto") == (0, 4, "environment (PMI_RANK, PMI_SIZE)")
    monkeypatch.delenv("MPI_LOCALNRANKS")
    set_variables(monkeypatch, PMI_RANK=3)
    assert find_shard("auto") == (3, 4, "environment (PMI_RANK, PMI_SIZE)")


@pytest.mark.parametrize("name", ["bash", "interactive", "train"])
def test_tasks_of_srun_in_the_shell_of_salloc_count(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # salloc's shell has a terminal, and a step of its own; srun's tasks inherit its variables.
    set_variables(monkeypatch, **STEP, **{**TERMINAL, "SLURM_JOB_NAME": name})
    monkeypatch.setenv("SLURM_TASK_PID", str(os.getpid()))
    assert find_shard("auto") == TASK
    set_variables(monkeypatch, SLURM_TASK_PID=2**30, SLURM_PROCID=2)
    assert find_shard("auto")[:2] == (2, 4)


def test_a_python_prompt_on_a_slurm_terminal_is_one_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_variables(monkeypatch, **STEP, **TERMINAL, SLURM_TASK_PID=os.getpid())
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert find_shard("auto") == SHELL


@pytest.mark.parametrize("step", [0xFFFFFFFA, 0xFFFFFFFB])
def test_slurms_own_steps_are_one_process(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    set_variables(monkeypatch, **{**STEP, "SLURM_STEP_ID": step})
    assert find_shard("auto") == SHELL


def test_the_shell_of_salloc_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, SLURM_JOB_ID=7, SLURM_JOB_NAME="interactive", SLURM_NTASKS=4)
    assert find_shard("auto").count == 1
    set_variables(monkeypatch, SLURM_PROCID=0)
    assert find_shard("auto").count == 1


@pytest.mark.parametrize("name", ["bash", "interactive", "zsh"])
def test_a_job_named_like_a_shell_is_warned_about_where_nothing_else_tells(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    set_variables(monkeypatch, **STEP, SLURM_JOB_NAME=name)
    with pytest.warns(UserWarning, match=f"a job named '{name}'.*`shard=None`"):
        assert find_shard("auto") == TASK
    set_variables(monkeypatch, SLURM_PROCID=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_shard("auto")[:2] == (1, 4)


LOOK = """
from pyloader._distributed.shards import find_shard
print(*find_shard("auto")[:2])
"""


@pytest.mark.parametrize(
    ("shell", "script", "found"),
    [
        (["bash"], "SLURM_TASK_PID=$$ {look}; true", "0 1"),
        (["bash", "--noprofile", "-s"], "SLURM_TASK_PID=$$ {look}; true", "0 1"),
        (["sh"], "export SLURM_TASK_PID=$$; sh -c '{look}; true'; true", "0 1"),
        (["bash", "-c", "{}"], "SLURM_TASK_PID=$$ {look}; true", "0 4"),
        (["bash", "-c", "{}"], "export SLURM_TASK_PID=$$; exec {look}", "0 4"),
    ],
    ids=["shell", "options", "script in a shell", "wrapper", "task"],
)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="has no /proc")
def test_the_process_that_slurm_started_decides(
    tmp_path: Path, shell: list[str], script: str, found: str
) -> None:
    file = tmp_path / "look.py"
    file.write_text(LOOK)
    script = script.format(look=f"{sys.executable} {file}")
    done = subprocess.run(
        [script if word == "{}" else word for word in shell],
        input="" if "{}" in shell else script,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **{name: str(value) for name, value in {**STEP, **TERMINAL}.items()},
        },
        capture_output=True,
        check=True,
        text=True,
        timeout=600,
    )
    assert done.stdout == found + "\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        *((line, True) for line in ("-bash", "/bin/zsh -l", "sh -i", "bash --login", "fish")),
        ("bash --rcfile setup.sh -i", True),
        ("bash -i --init-file setup.sh", True),
        *((line, False) for line in ("", "python", "bash train.sh", "bash -lc train", "sh -c x")),
        ("bash --norc train.sh", False),
    ],
)
def test_shells_with_a_script_or_a_command_are_not_interactive(line: str, expected: bool) -> None:
    assert ranks._is_interactive_shell(line.split()) is expected
