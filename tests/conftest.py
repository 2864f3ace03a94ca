pytest_plugins = ["livingworld.testing.fixtures"]
