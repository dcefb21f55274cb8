// Loaded with --require: writes the process's own peak memory in KiB. Not maxrss, which a process
// inherits from whoever started it (getrusage(2), kernel/exec.c).
const { readFileSync, writeFileSync } = require('node:fs');

process.on('exit', () => {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  writeFileSync(process.env.BENCH_PEAK, peak[1]);
});
