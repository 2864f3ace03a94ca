# A folder, and a world for its scripts. What goes on until it is interrupted is interrupted.
mkdir prompts
echo 'Tell of {{ who }}.' > prompts/narrator.j2
python -c '
import asyncio
from livingworld import LivingWorld
async def main():
    async with LivingWorld.open() as livingworld:
        await livingworld.worlds.create("Saltmarsh")
asyncio.run(main())
'
livingworld() {
    case "$*" in
        *--watch*) timeout 15 livingworld "$@" || [ $? -eq 124 ] ;;
        *) command livingworld "$@" ;;
    esac
}
# the example stands here
