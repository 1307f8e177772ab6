__import__("_boot").run(globals())
