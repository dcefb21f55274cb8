/** `fix --yes --json` and what it prints, as far as tests read it. */
import { runCli } from '../cli/run.ts';

interface FixStep {
  readonly kind: string;
  readonly status: string;
  readonly detail: string;
  readonly pid?: number;
  readonly role?: string;
}

interface FixDocument {
  readonly result: string;
  readonly exitCode: number;
  readonly trail: string | null;
  readonly plan: {
    readonly kind: string;
    readonly remarks?: readonly string[];
    readonly steps: readonly Omit<FixStep, 'status' | 'detail'>[];
  };
  readonly steps: readonly FixStep[];
  readonly before: { readonly verdict: { readonly code: string } };
  readonly after: {
    readonly verdict: { readonly code: string; readonly summary: string; readonly next: string };
  } | null;
}

export async function fix(args: readonly string[], options: Parameters<typeof runCli>[1] = {}) {
  const ran = await runCli(['fix', '--yes', '--json', ...args], options);
  if (ran.stdout === '') throw new Error(`no document, exit ${ran.code}: ${ran.stderr}`);
  return { ...ran, document: JSON.parse(ran.stdout) as FixDocument };
}
