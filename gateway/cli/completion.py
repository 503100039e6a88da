"""Shell. `gauger completion SHELL`."""

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  eval "$(gauger completion bash)"      in ~/.bashrc
    zsh:   eval "$(gauger completion zsh)"       in ~/.zshrc
    fish:  gauger completion fish | source       in ~/.config/fish/config.fish
    """
    from gateway.cli import group

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(group, {}, "gauger", "_GAUGER_COMPLETE").source())
