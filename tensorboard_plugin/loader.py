"""Where TensorBoard enters. An error while this file is imported would stop TensorBoard itself."""

from tensorboard.plugins import base_plugin

#: Steps of a run that TensorBoard keeps in memory, where its own default is 10.
SAMPLES = 2000


class HealthLoader(base_plugin.TBLoader):
    """Adds the flag `--tfdiag_samples` and loads the "Health" tab."""

    def define_flags(self, parser):
        group = parser.add_argument_group("tfdiag")
        group.add_argument(
            "--tfdiag_samples",
            metavar="STEPS",
            type=int,
            default=SAMPLES,
            help="How many recorded steps of each run the Health tab shows, evenly sampled; 0 for "
            f"all, at the cost of memory. --samples_per_plugin=tfdiag=N does the same. (default: "
            f"{SAMPLES})",
        )

    def fix_flags(self, flags):
        samples = flags.tfdiag_samples
        if samples < 0:
            raise base_plugin.FlagsError(
                f"--tfdiag_samples is a number of steps, so it must be at least 0, but got "
                f"{samples}. Use 0 to show all."
            )
        flags.samples_per_plugin.setdefault("tfdiag", samples)
        flags.samples_per_plugin.setdefault("tfdiag_events", 0)  # few, and each one counts

    def load(self, context):
        from tensorboard_plugin.plugin import HealthPlugin

        return HealthPlugin(context)
