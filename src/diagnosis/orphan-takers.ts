/**
 * Who takes orphans beside pid 1. Any process may (prctl(2), PR_SET_CHILD_SUBREAPER), and none can
 * be asked whether it does, so only those count that are known for it, by argv and place. dumb-init
 * takes what it takes as pid 1: beside pid 1 it never asks for more (salt-facts §10).
 */
import type { ProcessFacts } from '../evidence/evidence.ts';

interface OrphanTaker {
  /** Base name of argv[0]. */
  readonly program: RegExp;
  /** A word that has to be among its arguments. */
  readonly argument?: string;
}

/** Where a package or an image puts such a program; anybody can call a script of his `tini`. */
const PLACES =
  /^(?:|\/|\/(?:usr\/)?(?:local\/)?s?bin\/|\/(?:usr\/)?lib\/systemd\/|\/usr\/libexec\/(?:[\w-]+\/)?|\/(?:usr\/)?lib\/(?:podman|cri-o|containerd)\/|\/dev\/)$/;

/** One program a line, with where it makes itself a sub-reaper. */
const ORPHAN_TAKERS: readonly OrphanTaker[] = [
  // systemd src/core/main.c: make_reaper_process(true) for every manager but pid 1.
  { program: /^systemd$/, argument: '--user' },
  // krallin/tini src/tini.c, register_subreaper(); docker run --init brings it as docker-init.
  { program: /^(?:tini(?:-static)?|docker-init)$/ },
  // openSUSE/catatonit catatonit.c, PR_SET_CHILD_SUBREAPER; podman run --init.
  { program: /^catatonit$/ },
  // containerd runtime/v2/shim/shim_linux.go, reaper.SetSubreaper(1); docker's own before 1.11.
  { program: /^(?:docker-)?containerd-shim(?:-[\w.-]+)?$/ },
  // containers/conmon src/conmon.c, PR_SET_CHILD_SUBREAPER (podman, CRI-O); conmon-rs alike.
  { program: /^conmon(?:rs)?$/ },
  // upstart init/main.c, PR_SET_CHILD_SUBREAPER for a user session.
  { program: /^(?:init|upstart)$/, argument: '--user' },
];

/** Whether a process is known to take orphans. */
export function takesOrphans({ argv }: Pick<ProcessFacts, 'argv'>): boolean {
  const [first = '', ...rest] = argv;
  const at = first.lastIndexOf('/') + 1;
  const [place, name] = [first.slice(0, at), first.slice(at)];
  return ORPHAN_TAKERS.some(
    ({ program, argument }) =>
      program.test(name) &&
      PLACES.test(place) &&
      (argument === undefined || rest.includes(argument)),
  );
}
