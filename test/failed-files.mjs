// A reporter of node:test: how many tests ran, and the files in which one failed, a line each.
export default async function* failedFiles(source) {
  let tests = '0';
  const failed = new Set();
  for await (const { type, data } of source) {
    if (type === 'test:fail' && data.file !== undefined) failed.add(data.file);
    if (type === 'test:diagnostic') tests = /^tests (\d+)$/.exec(data.message)?.[1] ?? tests;
  }
  yield `${[tests, ...failed].join('\n')}\n`;
}
