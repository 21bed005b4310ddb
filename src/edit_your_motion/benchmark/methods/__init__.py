"""Methods under test: changes of an edit's configuration, recipes and outputs of other projects."""
