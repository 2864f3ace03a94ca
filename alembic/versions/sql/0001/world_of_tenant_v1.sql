-- The world of this transaction if it is one of the transaction's tenant, else NULL: the policy of `worlds` decides.
CREATE FUNCTION livingworld.world_of_tenant_v1() RETURNS uuid
LANGUAGE sql
STABLE
BEGIN ATOMIC
SELECT w.world_id FROM livingworld.worlds AS w WHERE w.world_id = current_setting('livingworld.world_id')::uuid;
END
