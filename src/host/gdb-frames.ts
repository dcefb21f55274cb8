/** What gdb is told to do, as Python that runs inside it: that of the host's gdb, 2.7 or 3. */
import { GDB_MARK, MAX_FILE, MAX_FRAMES, MAX_NAME } from '../evidence/python-stacks.ts';

/** What the script has to know. */
export interface GdbTask {
  readonly pid: number;
  readonly startTicks: number;
  /** After so long no further thread is looked at, s. */
  readonly walkSeconds: number;
  /** After so long the kernel ends gdb, whatever it hangs in, s: also where we are gone by then. */
  readonly boundSeconds: number;
}

/**
 * The arguments of gdb. Nothing of the user's or of the directory is read (`-nx`), and helper scripts
 * are loaded from where root's packages put them alone: one beside the program of a stranger would run
 * as us.
 */
export function gdbArguments({ pid, startTicks, walkSeconds, boundSeconds }: GdbTask): string[] {
  // A JSON string is one of Python's, too.
  const script = `exec(${JSON.stringify(GDB_FRAMES)})`;
  const call = `salt_triage(${[pid, startTicks, walkSeconds, boundSeconds].join(', ')})`;
  return [
    ...['-nx', '-batch'],
    ...['-iex', 'set auto-load safe-path $debugdir:$datadir/auto-load'],
    ...['-iex', 'set print thread-events off'],
    ...['-ex', `python ${script}`],
    ...['-ex', `python ${call}`],
  ];
}

/**
 * Goes through the C frames of each thread and has CPython's own helper (Tools/gdb/libpython.py, which
 * debug packages bring) say which Python function each is. `py-bt`, which does the same, prints
 * arguments besides in old versions, and opens the source files that the process names.
 *
 * The symbols are read before the process is stopped. Without the helper it is stopped only where
 * the helper may yet come with a libpython that the process has loaded. From 3.11 on one C frame
 * holds several of Python's, of which `is_entry` (3.11) or `is_shim` (3.12) tells the last.
 */
const GDB_FRAMES = `
def salt_triage(pid, ticks, walk_seconds, bound_seconds):
    import gdb, json, signal, sys, time
    began = time.time()
    signal.alarm(bound_seconds)

    def say(**what):
        sys.stdout.write('${GDB_MARK}' + json.dumps(what) + chr(10))
        sys.stdout.flush()

    def read(name):
        with open('/proc/%d/%s' % (pid, name)) as file:
            return file.read()

    def text(value):
        return u'%s' % (value.proxyval(set()),)

    def add_frames(op, frames):
        while op and not op.is_optimized_out() and len(frames) < ${MAX_FRAMES}:
            if hasattr(op, 'is_shim') and op.is_shim():
                return
            frames.append([text(op.co_name)[:${MAX_NAME}], text(op.co_filename)[-${MAX_FILE}:]])
            if not hasattr(op, 'previous') or (hasattr(op, 'is_entry') and op.is_entry()):
                return
            op = op.previous()

    def frames_of(thread, Frame):
        frames = []
        try:
            thread.switch()
            frame = gdb.newest_frame()
            while frame is not None and len(frames) < ${MAX_FRAMES}:
                if Frame(frame).is_evalframe():
                    add_frames(Frame(frame).get_pyop(), frames)
                frame = frame.older()
        except (gdb.error, RuntimeError, ValueError, TypeError, AttributeError):
            pass
        return frames

    try:
        gdb.execute('file /proc/%d/exe' % pid, to_string=True)
    except gdb.error:
        pass
    helper = lambda: globals().get('Frame')
    if helper() is None and 'libpython' not in read('maps'):
        return say(refused='no debug symbols of its Python are here')
    if int(read('stat').rpartition(')')[2].split()[19]) != ticks:
        return say(refused='it is another process now')
    say(attaching=pid)
    try:
        gdb.execute('attach %d' % pid, to_string=True)
        try:
            threads = sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.ptid)
            if helper() is None:
                say(refused='no debug symbols of its Python are here')
            else:
                say(threads=len(threads))
                for thread in threads:
                    if time.time() - began > walk_seconds:
                        break
                    say(frames=frames_of(thread, helper()))
        finally:
            gdb.execute('detach', to_string=True)
            say(detached=pid)
    except gdb.error as error:
        say(refused=str(error))
`;
