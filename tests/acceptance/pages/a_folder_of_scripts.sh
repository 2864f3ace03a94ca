# A folder, and a world for its scripts. What goes on until it is interrupted is ended once it has told of a change.
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
watched() {
    local told
    coproc command livingworld "$@"
    echo 'Tell more of {{ who }}.' > prompts/narrator.j2
    read -r told <&"${COPROC[0]}"
    kill "$COPROC_PID"
    [ "$told" = 'published narrator version 2' ]
}
livingworld() {
    case "$*" in
        *--watch*) watched "$@" ;;
        *) command livingworld "$@" ;;
    esac
}
# the example stands here
wait
