/** What the bundle carries as text (bin/build.mjs). */
declare module '*.txt' {
  const text: string;
  export default text;
}
