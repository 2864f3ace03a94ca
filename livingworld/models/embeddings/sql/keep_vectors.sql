-- Keep vectors of embedder $2 in world $1: $3 are their digests, $4 the dimensions of each, $5 the numbers of all of them
-- one after the other. In the order of the digests, so that two of these never wait for each other; what is there already
-- stays as it is.
INSERT INTO livingworld.embedding_cache (world_id, embedder, digest, dimensions, vector)
SELECT $1::uuid, $2::text, new.digest, $4::integer,
       ($5::real[])[(new.place::integer - 1) * $4::integer + 1 : new.place::integer * $4::integer]
FROM unnest($3::bytea[]) WITH ORDINALITY AS new (digest, place)
ORDER BY new.digest
ON CONFLICT (world_id, embedder, digest) DO NOTHING
