__import__("_boot").start()
__import__("_files").run(globals())
