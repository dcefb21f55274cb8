/** A fault that changes nothing that anybody could see, and why. */
export interface Equivalent {
  readonly path: string;
  /** The first place in the source that reads so. */
  readonly was: string;
  readonly is: string;
  readonly why: string;
}

/** They are not counted. One that fits no fault any more is an error. */
export const EQUIVALENT: readonly Equivalent[] = [
  {
    path: 'src/evidence/salt-api-argv.ts',
    was: "d: '--daemon',",
    is: "d: '--daemon~',",
    why: 'a flag and an unknown name are passed over alike; that it is an option counts',
  },
  {
    path: 'src/evidence/salt-api-argv.ts',
    was: 'while (index < tokens.length)',
    is: 'while (index <= tokens.length)',
    why: 'behind the last token stands an empty one, which is no flag',
  },
  {
    path: 'src/diagnosis/checks/orphans.ts',
    was: "if (first === undefined) return 'none';",
    is: "if (first === undefined) return 'none~';",
    why: 'for the compiler: it is called where one was found',
  },
  {
    path: 'src/diagnosis/checks/close-wait.ts',
    was: 'a.address < b.address ? -1 : 1',
    is: 'a.address <= b.address ? -1 : 1',
    why: 'no two rows have the same address',
  },
  {
    path: 'src/diagnosis/checks/close-wait.ts',
    was: 'a.address < b.address ? -1 : 1',
    is: 'a.address < b.address ? -2 : 1',
    why: 'a sort goes by the sign alone',
  },
  {
    path: 'src/diagnosis/checks/close-wait.ts',
    was: 'a.address < b.address ? -1 : 1',
    is: 'a.address < b.address ? -1 : 2',
    why: 'a sort goes by the sign alone',
  },
  {
    path: 'src/diagnosis/checks/port-holder.ts',
    was: "role: 'foreign', reasons, under: null, proven: false",
    is: "role: 'foreign', reasons, under: null, proven: true",
    why: 'proof is asked of holders of which none is foreign',
  },
  {
    path: 'src/diagnosis/checks/port-holder.ts',
    was: "const of = owner === undefined ? ''",
    is: "const of = false ? ''",
    why: 'for the compiler: what is held has a listener, and a listener has an owner',
  },
  {
    path: 'src/host/kill-guard.ts',
    was: "argv.join(' ').split(/\\s+/)",
    is: "argv.join(' ').split(/\\s/)",
    why: 'what is empty between two blanks is left out next',
  },
  {
    path: 'src/host/kill-guard.ts',
    was: "title !== '' && line.endsWith(",
    is: 'line.endsWith(',
    why: 'no line ends with a blank, as its words are joined by one',
  },
];
