/** What to type in place of a fix that is refused. */

/** An option of `fix` with its value, unquoted; a value in capitals is the person's to fill in. */
export type RemedyOption = readonly [
  name: '--unit' | '--stop-cmd' | '--start-cmd' | '--only',
  value: string,
];

export type Remedy =
  /** The same fix with these options. */
  | {
      readonly kind: 'options';
      readonly options: readonly RemedyOption[];
      readonly note: string;
    }
  /** A command of the host, to be run there by root. */
  | { readonly kind: 'command'; readonly command: readonly string[]; readonly note: string };
