// npm scripts must never run on another Node than the one in devDependencies: without that package's install
// script they would fall back, silently, on whatever the machine has. It stands in each script's own line, since
// --ignore-scripts skips "pre…" scripts, and must parse on old versions too: no syntax newer than Node 14.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (!((major === 24 && minor >= 16) || (major === 26 && minor >= 1) || major > 26)) {
  console.error(
    `This is Node ${process.versions.node}; Offstage needs ^24.16.0 || >=26.1.0. ` +
      'Run: npm ci (with "node" in allowScripts), or put a newer Node first on the path.',
  )
  process.exitCode = 1
}
