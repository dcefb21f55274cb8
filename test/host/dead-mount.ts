/** A mount that answers nothing, as one of an NFS server that is gone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

/** FUSE, whose server takes no request (fuse(4)). */
const SERVER = `
import ctypes, os, sys
fd, libc, path = os.open('/dev/fuse', os.O_RDWR), ctypes.CDLL(None), sys.argv[1].encode()
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0' % fd
print(libc.mount(b'dead', path, b'fuse', 0, options), flush=True)
sys.stdin.read()
libc.umount2(path, 2)`;

/**
 * @param directory that whoever looks into waits from now on
 * @returns what makes it answer again; null where that can't be had here
 */
export async function killMount(
  t: TestContext,
  directory: string,
): Promise<(() => Promise<void>) | null> {
  const server = spawn('/usr/bin/python3', ['-c', SERVER, directory]);
  t.after(() => server.stdin.end());
  const gone = once(server, 'exit');
  const said = once(server.stdout, 'data').then(([text]) => String(text).trim());
  if ((await Promise.race([said, gone.then(() => 'exit')])) !== '0') return null;
  return async () => {
    server.stdin.end();
    await gone;
    // Those that wait are told a moment later.
    await new Promise((resolve) => setTimeout(resolve, 100));
  };
}
