# A folder with the migrations as a checkout has them, and an empty database that psql finds by its own variables.
cp -r "$CHECKOUT/alembic.ini" "$CHECKOUT/alembic" .
# the example stands here
