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
 * The arguments of gdb. Nothing of the user's or of the directory is read (`-nx`), and nothing is
 * loaded by itself: what a stranger's program or library brings for gdb would run as us, and
 * `safe-path` alone lets in `/usr/share/gdb/auto-load/../../../../tmp/x.so` (salt-facts §10).
 */
export function gdbArguments({ pid, startTicks, walkSeconds, boundSeconds }: GdbTask): string[] {
  // A JSON string is one of Python's, too.
  const script = `exec(${JSON.stringify(GDB_FRAMES)})`;
  const call = `salt_triage(${[pid, startTicks, walkSeconds, boundSeconds].join(', ')})`;
  return [
    ...['-nx', '-batch'],
    ...['-iex', 'set auto-load off'],
    ...['-iex', 'set auto-load safe-path $debugdir:$datadir/auto-load'],
    ...['-iex', 'set libthread-db-search-path $sdir'],
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
 * The symbols are read before the process is stopped, and the helper with them: from the program and
 * the libpython that it runs, by their names in the file system, where those are root's alone. From
 * 3.11 on one C frame holds several of Python's, of which `is_entry` (3.11) or `is_shim` (3.12) tells
 * the last.
 */
const GDB_FRAMES = `
def salt_triage(pid, ticks, walk_seconds, bound_seconds):
    import gdb, json, os, re, signal, sys, time
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

    def born():
        return int(read('stat').rpartition(')')[2].split()[19])

    def of_root(path):
        about = os.stat(path)
        if about.st_uid != 0 or about.st_mode & 0o022:
            return False
        return path == '/' or of_root(os.path.dirname(path))

    def load(path):
        real = os.path.realpath(path)
        if not re.match('[A-Za-z0-9_./+~-]+$', real) or not of_root(real):
            return False
        gdb.execute('set auto-load python-scripts on')
        try:
            gdb.execute('file ' + real, to_string=True)
        finally:
            gdb.execute('set auto-load python-scripts off')
        return True

    helper = lambda: globals().get('Frame')
    try:
        libraries = set(re.findall('(/.*/libpython[^/]*)$', read('maps'), re.M))
        for library in sorted(libraries)[:4]:
            load(library)
        if not load(os.readlink('/proc/%d/exe' % pid)):
            return say(refused='its Python could have been changed by others than root')
    except (gdb.error, EnvironmentError):
        pass
    if helper() is None:
        return say(refused='no debug symbols of its Python are here')
    if born() != ticks:
        return say(refused='it is another process now')
    say(attaching=pid)
    try:
        gdb.execute('attach %d' % pid, to_string=True)
        try:
            threads = sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.ptid)
            # Its pid may have been given out again in between.
            if born() != ticks:
                say(refused='it is another process now')
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
