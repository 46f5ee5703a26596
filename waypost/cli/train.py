import typer

group = typer.Typer()


@group.command("head")
def head():
    pass


@group.command("x")
def x():
    pass
