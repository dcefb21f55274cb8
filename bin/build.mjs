// Bundles everything into bin/salt-triage.cjs: one file that needs nothing beside it and that
// also runs from standard input (`ssh host node - diagnose < salt-triage.cjs`).
//
//   node bin/build.mjs [OUTPUT] [--bare] [--inputs FILE]
//
// --bare leaves out the shell script at the top, which a single executable starts by itself;
// --inputs writes which files went into it, one a line.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const { values: asked, positionals } = parseArgs({
  options: { bare: { type: 'boolean', default: false }, inputs: { type: 'string' } },
  allowPositionals: true,
});
const outfile = positionals[0] ?? fileURLToPath(new URL('./salt-triage.cjs', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** The commit that is built, with a plus where the files differ from it; none outside a clone. */
function commit() {
  try {
    const git = (...words) =>
      execFileSync('git', words, { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' });
    const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
    return git('rev-parse', '--short=12', 'HEAD').trim() + (changed ? '+' : '');
  } catch {
    return '';
  }
}

const source = (path) => fileURLToPath(new URL(`../src/${path}`, import.meta.url));

const options = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20.17',
  loader: { '.txt': 'text' },
  legalComments: 'none',
  // From standard input there is no file; the few packages that ask where they are only want a URL.
  define: {
    'import.meta.url': 'importMetaUrl',
    SALT_TRIAGE_BUILD: JSON.stringify({ version, commit: commit() }),
  },
  inject: [fileURLToPath(new URL('./import-meta-url.mjs', import.meta.url))],
  logLevel: 'warning',
  metafile: true,
};

const inputs = new Set();
/** One of the bundles that the one file is made of. */
async function bundle(more) {
  const { metafile, outputFiles } = await build({ ...options, ...more });
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      if (bytesInOutput > 0) inputs.add(path);
    }
  }
  return outputFiles?.[0].text;
}

/**
 * inquirer brings every kind of prompt along. The one that opens an editor comes with the tables
 * of all character sets, two fifths of the whole.
 */
const withoutEditor = {
  name: 'without-editor',
  setup({ onLoad }) {
    onLoad({ filter: /@inquirer[\\/]external-editor[\\/]/ }, () => ({
      contents: 'export const editAsync = undefined;',
    }));
  },
};

/**
 * Parsing all of the bundle takes longer than starting Node, so the packages that few commands
 * need stay text in it, a tenth of that price, until a command asks for them.
 */
const packagesOnDemand = {
  name: 'packages-on-demand',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:execa|inquirer|ps-list|valibot|yaml)$/ }, ({ path }) => ({
      path,
      namespace: 'on-demand',
    }));
    onLoad({ filter: /./, namespace: 'on-demand' }, async ({ path }) => {
      const text = await bundle({
        stdin: {
          contents: `module.exports = require('${path}');`,
          resolveDir: import.meta.dirname,
        },
        minify: true,
        plugins: [withoutEditor],
        write: false,
      });
      const names = Object.keys(await import(path)).filter((name) => name !== 'module.exports');
      return { contents: compiledOnDemand(path, text, names) };
    });
  },
};

/** A module that compiles a text once it is loaded, and exports what that does. */
function compiledOnDemand(path, text, names) {
  return `
    import { compileFunction } from 'node:vm';
    const module = { exports: {} };
    compileFunction(${JSON.stringify(text)}, ['module', 'require'], { filename: '${path}.js' })(
      module, require,
    );
    ${names.map((name, at) => `const e${at} = module.exports.${name}; export { e${at} as ${name} };`).join('\n')}`;
}

/** The same for what draws reports, with the packages that it takes. */
const reportsOnDemand = {
  name: 'reports-on-demand',
  setup({ onLoad }) {
    onLoad({ filter: /postmortem[\\/]render\.ts$/ }, async ({ path }) => {
      const text = await bundle({ entryPoints: [path], minify: true, write: false });
      const names = [...readFileSync(path, 'utf8').matchAll(/^export \{ (\w+) \}/gm)];
      return {
        contents: compiledOnDemand(
          'render',
          text,
          names.map(([, name]) => name),
        ),
      };
    });
  },
};

/** A thread starts from text, as everything is in one file; it reads files alone. */
const threadsAsText = {
  name: 'threads-as-text',
  setup({ onLoad }) {
    onLoad({ filter: /thread-sources\.ts$/ }, async () => {
      const text = async (path) =>
        JSON.stringify(await bundle({ entryPoints: [source(path)], minify: true, write: false }));
      return {
        contents: `
          export const logThread = ${await text('host/local/in-log-thread.ts')};
          export const tablesThread = ${await text('host/local/in-tables-thread.ts')};`,
      };
    });
  },
};

// The file is a shell script that starts node on itself: to JavaScript the script is a comment.
const front = readFileSync(new URL('./front.sh', import.meta.url), 'utf8');
if (front.includes('*/')) throw new Error('front.sh would end the comment that it stands in');

/** The JSON Schema is asked for once in a while, and text until then. */
const schemaAsText = {
  name: 'schema-as-text',
  setup({ onLoad }) {
    onLoad({ filter: /json-schema\.json$/ }, ({ path }) => {
      const text = JSON.stringify(JSON.parse(readFileSync(path, 'utf8')));
      return { contents: `export default JSON.parse(${JSON.stringify(text)});`, loader: 'js' };
    });
  },
};

/** commander loads it for commands that are programs of their own, of which there are none. */
const withoutSubprograms = {
  name: 'without-subprograms',
  setup({ onLoad }) {
    onLoad({ filter: /commander[\\/]lib[\\/]command\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      const loaded = "require('node:child_process')";
      if (!text.includes(loaded)) throw new Error(`${path}: no ${loaded}`);
      return { contents: text.replace(loaded, 'null') };
    });
  },
};

await bundle({
  entryPoints: [source('cli/main.ts')],
  outfile,
  minifySyntax: true,
  minifyWhitespace: true,
  plugins: [withoutSubprograms, packagesOnDemand, reportsOnDemand, threadsAsText, schemaAsText],
  ...(asked.bare ? {} : { banner: { js: `#!/bin/sh\n':' /*\nruntime=node\n${front}*/;` } }),
});
chmodSync(outfile, 0o755);
if (asked.inputs !== undefined) {
  const files = [...inputs].filter((path) => existsSync(path)).sort();
  writeFileSync(asked.inputs, `${files.join('\n')}\n`);
}
