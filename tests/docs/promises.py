"""Sentences of the pages on stopping and going on, and the tests that hold each."""

# files of tests, by what the tables call them
FILES = {
    "arithmetic": "training/test_arithmetic.py",
    "branching": "training/test_branching.py",
    "chain": "experiments/harness/test_chain.py",
    "damage": "damage/test_training.py",
    "damage of experiments": "damage/test_experiments.py",
    "diverged": "training/test_diverged.py",
    "engine": "experiments/harness/test_engine.py",
    "environment": "training/test_environment.py",
    "extending": "training/test_extending.py",
    "fit stream": "estimators/test_fit_stream.py",
    "folder": "experiments/harness/test_folder.py",
    "folder's environment": "experiments/harness/test_folder_environment.py",
    "full disk": "training/test_full_disk.py",
    "going on": "experiments/harness/test_going_on.py",
    "groups": "experiments/harness/test_groups.py",
    "job": "docs/test_job_script.py",
    "job's process": "experiments/cluster/test_payload.py",
    "jobs": "experiments/cluster/test_launch.py",
    "kills": "training/test_kills.py",
    "loading": "training/test_loading.py",
    "no room": "experiments/test_no_room.py",
    "owner": "base/test_owner.py",
    "pieces": "training/test_pieces.py",
    "preemption": "experiments/test_preemption.py",
    "processes": "test_processes.py",
    "reports": "experiments/harness/test_reports.py",
    "resuming": "training/test_resuming.py",
    "resuming commands": "experiments/test_resuming_commands.py",
    "run": "experiments/test_run.py",
    "runs": "experiments/trained/test_runs.py",
    "sealed": "base/test_sealed_json.py",
    "signals": "training/test_signals.py",
    "slurm": "slurm/test_sweep.py",
    "process group": "experiments/cluster/test_process_group.py",
    "limits": "experiments/cluster/test_limits.py",
    "starting": "training/test_starting.py",
    "stopping": "training/test_stopping.py",
    "sweep kills": "experiments/test_sweep_kills.py",
    "two hosts": "training/test_two_hosts.py",
    "unreadable": "training/test_unreadable.py",
    "wires": "base/test_wires.py",
}
# how a sentence begins -> the tests that hold it, each a file and the beginning of a name
STOPPING = {
    "Run the same config in the same folder: it goes on": [
        ("kills", "twenty_kills"), ("preemption", "twenty_kills"), ("preemption", "ten_preempt"),
        ("resuming", "a_run_that_dies_before"),
    ],
    "Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP write a checkpoint first": [
        ("signals", "a_signal_writes_a_checkpoint"), ("signals", "a_signal_while_the_last"),
        ("signals", "a_signal_just_after"), ("pieces", "a_signal_does_not_wait_for_a_long_stretch"),
        ("pieces", "where_a_stretch_is_cut"), ("preemption", "ten_preemptions"),
    ],
    "`risk` and `evaluate` are computed in such pieces": [
        ("pieces", "a_signal_does_not_wait_for_a_long_eval"), ("pieces", "where_an_evaluation"),
    ],
    "A second Ctrl-C does not wait": [("signals", "a_second_ctrl_c")],
    "Under `python -m experiments.run` the scheduler's signals": [
        ("run", "a_scheduler_s_signal_ends_a_run_with_75"), ("run", "a_limit_of_time_ends"),
        ("run", "an_interrupted_run_ends_with_130"),
    ],
    "A checkpoint that is truncated, altered or renamed is moved": [
        ("resuming", "a_harmed_newest"), ("unreadable", "a_checkpoint_under_another_step"),
    ],
    "One that cannot be read for another reason": [
        ("unreadable", "a_failure_to_read"), ("unreadable", "another_version_of_what_writes"),
        ("unreadable", "a_number_that_no_run"), ("resuming", "where_every_checkpoint_is_harmed"),
    ],
    "A model whose loss is no longer finite keeps": [
        ("stopping", "a_model_that_diverges_stops"), ("diverged", "a_model_that_diverges_changes"),
    ],
    "`fit` names seed, point and step": [
        ("diverged", "seed_point_and_step"), ("diverged", "where_all_diverged_the_error_has"),
    ],
    "On a disk without room or inodes the run ends": [
        ("full disk", "a_checkpoint_that_cannot_be_written"), ("full disk", "without_inodes"),
        ("resuming", "a_full_disk_stops"), ("no room", "the_command_ends_with_one_error"),
    ],
    "- **The environment.** Other numbers are drawn": [
        ("environment", "what_changes_the_bits_of_a_run_is_what_is_refused"),
        ("environment", "a_float32_run_is_refused"),
    ],
    "A run that is not at its end is then refused": [
        ("environment", "another_version_is_refused"), ("environment", "what_changes_no_bits"),
    ],
    '`environment="accept"` of `fit` and `branch`': [
        ("environment", "another_version_is_refused_unless_it_is_accepted"),
        ("run", "another_environment_is_refused_unless"),
    ],
    "Another commit, another number of cores": [("environment", "what_changes_no_bits")],
    "A run that wrote none of this down goes on": [("environment", "a_run_of_a_version_that")],
    "Where this library has come to sum the same numbers": [
        ("arithmetic", "a_run_of_before_there_were_two"),
    ],
    "- **`metrics.jsonl`.** Its beginning must be": [("damage", "metrics_that_are_harmed")],
    "Where it has lost its last lines, or its end is altered": [
        ("damage", "metrics_that_are_harmed"),
    ],
    "Where none fits, it is refused": [("resuming", "metrics_that_have_lost_lines")],
    "- **The checkpoint's config**, which must be": [("damage", "a_checkpoint_of_another_run")],
    "`training.load` checks this too": [
        ("damage", "a_checkpoint_of_another_run"), ("loading", "metrics_that_were_altered"),
        ("loading", "without_metrics_a_seed"),
    ],
    "- **Records of experiments.** Each line": [
        ("chain", "a_line_that_was_altered"), ("chain", "a_record_that_was_altered"),
        ("chain", "equal_runs_have_equal_digests"),
    ],
    "Cut off at a line, its cases run again": [
        ("chain", "what_was_written_is_whole"), ("damage of experiments", "every_harm"),
    ],
    "`env.json` and `origin.json` hold a digest": [
        ("sealed", "every_flipped_bit"), ("damage", "where_a_branch_starts"),
        ("folder's environment", "a_damaged_environment_is_refused"),
    ],
    "Whatever is refused, the message names the file": [
        ("resuming commands", "every_command_says"),
        ("damage", "every_harm"), ("damage of experiments", "every_harm"),
    ],
    "On a cluster that takes jobs away, a job": [("job", "the_job_script")],
    "On one machine a lock refuses a second one": [
        ("resuming", "a_folder_in_use"), ("folder", "a_process_that_was_killed_leaves_no_lock"),
    ],
    "Between machines, whose file system": [("owner", "a_living_owner"), ("two hosts", "twenty")],
    "A process that finds the file waits": [
        ("owner", "a_silent_owner_loses"), ("owner", "a_living_owner_keeps"),
    ],
    "So a job that is put back into the queue": [("owner", "a_folder_whose_owner_ends_while")],
    "Before it writes, an owner looks": [
        ("owner", "a_silent_owner_loses"), ("resuming", "a_run_whose_folder_another_host"),
    ],
    "A copy of a folder, with its `.owner`": [("owner", "a_copy_of_a_folder")],
    "Where `.owner` cannot be written": [
        ("owner", "where_the_file_cannot_be_written"), ("reports", "a_finished_run_in_a_folder"),
    ],
    "A fork of a process that has read": [("unreadable", "a_fork_of_a_process")],
    '`training.load(workdir, at="best")` opens': [
        ("branching", "the_best_checkpoint_stays"), ("loading", "what_is_not_there_is_named"),
    ],
    "`overwrite=True` moves what the folder holds": [("extending", "a_folder_is_started_over")],
}  # fmt: skip
# sentences of other places, each whole
ELSEWHERE = {
    "README.md": {
        "A run that was stopped, by Ctrl-C or by a crash, goes on where it stopped and ends with "
        "the same bits.": [("kills", "twenty_kills"), ("signals", "a_signal_writes_a_checkpoint")],
    },
    "docs/training.md": {
        "its result has the bits of a run that was asked for them from the start": [
            ("extending", "an_extended_run_has_the_bits"), ("extending", "400_steps_extended"),
        ],
        "Where the end was in view from the start, with a falling rate, `average` or `patience`, "
        "it is refused: take a branch.": [("extending", "what_depends_on_the_end")],
        "Once it has begun, its source may go.": [("branching", "a_branch_that_was_killed")],
        "Going on asks for the same `init`.": [("starting", "a_run_goes_on_with_the_init")],
        "Each of them may be killed at any moment: the same call goes on.": [
            ("extending", "killed_at_any_moment"), ("branching", "a_branch_that_was_killed"),
            ("starting", "a_run_goes_on_with_the_init"),
        ],
        "No clock times: a resumed run writes the same bytes": [("kills", "twenty_kills")],
        "another config in the same folder is refused, but for `train.keep`, "
        "`train.checkpoint_seconds` and `train.tracker`, which change no result": [
            ("resuming", "a_folder_of_another_config"),
            ("environment", "settings_that_change_no_result_may_change"),
        ],
        "and a resumed run keeps to what it began with": [("resuming", "a_run_keeps_its_sampler")],
    },
    "docs/experiments.md": {
        "a run that was stopped goes on where it stopped when it is started again, a finished one "
        "rebuilds its table and figures": [
            ("preemption", "twenty_kills"), ("engine", "a_resumed_run_ends_as_an_unbroken_one"),
            ("engine", "a_finished_run_computes_nothing"),
        ],
        "nothing is ever overwritten: `--overwrite` moves the old folder aside": [
            ("folder", "overwrite_moves_the_old_folder"), ("run", "a_refused_folder_ends_with_2"),
        ],
        "`summary.json` and the figures have the same bits whenever they are made from the same "
        "records": [
            ("reports", "times_are_in_a_file_of_their_own"),
            ("folder", "a_figure_is_written_twice_with_the_same_bytes"),
        ],
        "In a folder that may only be read, a finished run shows its table": [
            ("reports", "a_finished_run_in_a_folder_that_is_only_read"),
        ],
        "The same command goes on after Ctrl-C, a kill or a full disk.": [
            ("groups", "ctrl_c_keeps_the_groups"), ("sweep kills", "a_sweep_of_300_points"),
            ("groups", "a_full_disk_stops_the_sweep"),
        ],
        "A group that fails does not stop the others": [("groups", "a_group_that_fails")],
        "all else equal, with the bits of a run that was asked for them from the start": [
            ("runs", "an_extended_run_has_the_bits"), ("going on", "an_extension_measures_again"),
        ],
        "`origin.json` keeps where they come from; once a run has begun, its source may go.": [
            ("going on", "a_folder_remembers_where"), ("runs", "a_branch_starts_at_the_checkpoint"),
        ],
        "Each of them may be killed at any moment: the same command goes on.": [
            ("going on", "the_same_command_goes_on_wherever"), ("kills", "twenty_kills"),
        ],
    },
    "docs/howto/resume.md": {
        "The command that began a run also resumes it": [("preemption", "twenty_kills")],
        "The second found the run at its end, and only rebuilt its table and figures.": [
            ("engine", "a_finished_run_computes_nothing"),
        ],
        "where it falls, as it does unless you say so, its end was in view, and `--extend` is "
        "refused": [("extending", "what_depends_on_the_end")],
    },
    "docs/howto/devices.md": {
        "A signal to any process stops all at one step, with one checkpoint and exit code 75": [
            ("processes", "a_signal_to_one_stops_all"),
        ],
        "the others end with one line and exit code 75": [
            ("processes", "who_loses_a_process_ends"), ("wires", "silence_is_a_lost_process"),
        ],
        "have the bits of one process with two devices": [
            ("processes", "two_processes_have_the_bits"),
        ],
        "one process goes on with what several have begun": [
            ("processes", "who_loses_a_process_ends"),
        ],
    },
    "docs/howto/long-contexts.md": {
        "Ctrl-C leaves an estimator as it was": [("fit stream", "ctrl_c_leaves_the_fit_before")],
    },
    "docs/howto/slurm.md": {
        "**Ctrl-C leaves the jobs.** The command says what cancels them; typed again, it gathers "
        "what they have done since, follows those that live, and submits only what no job has.": [
            ("jobs", "ctrl_c_leaves_the_jobs"), ("jobs", "what_jobs_did_while_nobody_watched"),
            ("slurm", "ctrl_c_leaves_the_jobs"),
        ],
        "a job writes its checkpoint and puts itself back into the queue": [
            ("job's process", "a_job_whose_time_is_nearly_up"),
            ("slurm", "a_job_whose_time_is_up_goes_on"),
        ],
        "Limits that leave a job no time to work are refused": [
            ("limits", "limits_within_which_no_job_works"),
        ],
        "One that is preempted, or whose machine fails, is put back by Slurm.": [
            ("job's process", "a_job_that_slurm_ends_is_left_to_it"),
            ("slurm", "200_points_in_20_jobs"),
        ],
        "A job that is killed, runs out of memory or is cancelled is not put back.": [
            ("jobs", "a_job_that_is_killed_is_named"), ("slurm", "ctrl_c_leaves_the_jobs"),
        ],
        "a group that is done never runs again, one in training goes on from its checkpoint": [
            ("slurm", "200_points_in_20_jobs"), ("preemption", "twenty_kills"),
        ],
        "The code is 75 where all such jobs only ask to be run again.": [
            ("jobs", "jobs_that_ask_to_be_run_again"),
        ],
        "A group that fails stands in the table; the same command tries it again.": [
            ("jobs", "a_group_that_fails_stands"),
        ],
        "another `--jobs` later deals the same groups out to more or fewer jobs": [
            ("jobs", "points_of_one_program_are_cut_once"),
        ],
        "Ctrl-C and a closed terminal leave these jobs, too.": [
            ("process group", "ctrl_c_and_a_lost_terminal"),
        ],
        "ends them with their checkpoints saved; the command waits for that": [
            ("process group", "all_save_and_end_with_75"),
            ("jobs", "a_signal_that_reaches_jobs_too"),
        ],
        "It writes a checkpoint and ends with exit code 75.": [
            ("run", "a_scheduler_s_signal_ends_a_run_with_75"), ("preemption", "ten_preemptions"),
        ],
        "the script puts its own job back into the queue": [("job", "the_job_script")],
        "the same happens by a limit of your own": [("run", "a_limit_of_time_ends")],
        "a folder belongs to one job at a time": [("owner", "a_living_owner_keeps_its_folder")],
    },
    "docs/howto/sweeps.md": {
        "Started again, the same command goes on.": [("groups", "ctrl_c_keeps_the_groups")],
    },
}  # fmt: skip
