/** Exit codes, the same for every command (`help exit-codes`). */
export const ExitCode = {
  ok: 0,
  incident: 1,
  usage: 2,
  unknown: 3,
  declined: 4,
  refused: 5,
  busy: 75,
  notPermitted: 77,
  interrupted: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/**
 * An error that an operator is meant to read: what happened, on what, and what to do next.
 * Anything else that is thrown is a defect of ours.
 */
export class TriageError extends Error {
  readonly exitCode: ExitCode;
  /** The next thing to do, a sentence; empty where there is none. */
  readonly advice: string;
  /** What to type instead, shown before all else; null where no command of ours helps. */
  readonly command: string | null;

  constructor(
    message: string,
    advice: string,
    exitCode: ExitCode,
    options?: ErrorOptions & { readonly command?: string },
  ) {
    super(message, options);
    this.name = 'TriageError';
    this.advice = advice;
    this.exitCode = exitCode;
    this.command = options?.command ?? null;
  }
}
