// What `import.meta.url` becomes in the bundle, which is CommonJS.
export const importMetaUrl = `file://${process.cwd()}/salt-triage.cjs`;
