/** The software bill of materials: CycloneDX 1.6 (cyclonedx.org/docs/1.6/json). */
import { createHash } from 'node:crypto';
import type { Bundled } from './licenses.ts';
import type { Runtime } from './runtime.ts';

/** What is said of, and of when. */
export interface Subject {
  readonly version: string;
  /** Seconds since 1970. */
  readonly epoch: number;
  readonly bundled: readonly Bundled[];
  readonly runtimes: readonly Runtime[];
}

/** Of what is built into Node, the libraries that get fixes of their own (`process.versions`). */
const BUILT_INTO_NODE = [
  'ares',
  'brotli',
  'llhttp',
  'nghttp2',
  'openssl',
  'uv',
  'v8',
  'zlib',
  'zstd',
];

/**
 * What is in the one file, and what besides in the single executables. The same for the same files:
 * its serial number is made from them.
 * @param builtIn `process.versions` of the runtime
 */
export function billOfMaterials(
  { version, epoch, bundled, runtimes }: Subject,
  builtIn: Readonly<Record<string, string>>,
): string {
  const self = `pkg:npm/salt-triage@${version}`;
  const packages = bundled.map(npmPackage);
  const nodes = runtimes.map(({ from, version: node, integrity }) => ({
    type: 'platform',
    'bom-ref': purlOf(from, node),
    name: from,
    version: node,
    description: 'Node.js, in the single executable of this architecture alone',
    licenses: [{ license: { id: 'MIT' } }],
    purl: purlOf(from, node),
    hashes: [sha512(integrity)],
  }));
  const libraries = BUILT_INTO_NODE.filter((name) => name in builtIn).map((name) => ({
    type: 'library',
    'bom-ref': `node:${name}`,
    name,
    version: builtIn[name],
    description: 'built into Node.js',
  }));
  const components = [...packages, ...nodes, ...libraries];
  const refs = (list: readonly { 'bom-ref': string }[]) => list.map((one) => one['bom-ref']);
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([self, epoch, components]))}`,
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: {
        type: 'application',
        'bom-ref': self,
        name: 'salt-triage',
        version,
        licenses: [{ license: { id: 'MIT' } }],
        purl: self,
      },
    },
    components,
    dependencies: [
      { ref: self, dependsOn: refs([...packages, ...nodes]) },
      ...nodes.map((node) => ({ ref: node['bom-ref'], dependsOn: refs(libraries) })),
    ],
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function npmPackage({ name, version, license, integrity }: Bundled) {
  const purl = purlOf(name, version);
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    licenses: [
      / (?:OR|AND) /.test(license) ? { expression: license } : { license: { id: license } },
    ],
    purl,
    hashes: [sha512(integrity)],
  };
}

/** The scope's `@` is percent-encoded (package-url/purl-spec). */
function purlOf(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

/** Of the archive in the registry. */
function sha512(integrity: string) {
  const content = Buffer.from(integrity.replace('sha512-', ''), 'base64').toString('hex');
  return { alg: 'SHA-512', content };
}

/** A UUID made of a name (RFC 9562, version 8). */
function uuidOf(name: string): string {
  const bytes = createHash('sha256').update(name).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.*)$/, '$1-$2-$3-$4-$5');
}
