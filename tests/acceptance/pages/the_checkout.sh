# The checkout, with what is installed as it is.
cd "$CHECKOUT"
make() {
    command make VENV="$VENV" -o "$VENV/.ready" "$@"
}
# the example stands here
