"""Options that take one file or several: `--ocv A.csv B.csv` as well as `--ocv A.csv --ocv B.csv`."""

import click


class SeveralFiles(click.Command):
    """A click command whose options with multiple=True go on until the next option."""

    def parse_args(self, ctx, args):
        several = {name for p in self.params if isinstance(p, click.Option) and p.multiple for name in p.opts}
        spread: list[str] = []
        current, has_value = "", False
        for arg in args:
            if arg.startswith("-") and arg != "-":
                current, has_value = (arg, False) if arg in several else ("", False)
            elif current and has_value:
                spread.append(current)
            elif current:
                has_value = True
            spread.append(arg)
        return super().parse_args(ctx, spread)
