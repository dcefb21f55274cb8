/**
 * A Node program of `count` clients of 127.0.0.2 that ask for `path`, get no answer within half a
 * second and close. It ends when all of them have.
 */
export function clientsThatGiveUp(
  count: number,
  path: string,
  port: number,
  tls: boolean = false,
): string {
  return `
    const { connect } = require('${tls ? 'node:tls' : 'node:net'}');
    for (let client = 0; client < ${count}; client += 1) {
      const socket = connect({ host: '127.0.0.1', port: ${port}, localAddress: '127.0.0.2',
        rejectUnauthorized: false });
      socket.on('error', () => {});
      socket.write('GET ${path} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n');
      setTimeout(() => socket.destroy(), 500);
    }`;
}
