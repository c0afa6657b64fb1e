// The public surface as text, in api/: one report for the package and one for each subpath, so that every change of it is seen in a diff.
//   npm run api              writes them
//   npm run api -- --check   fails if one is not as it is in the repository
import { mkdirSync, readFileSync } from 'node:fs';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';
import { entries, root, source } from './typedoc-options.mjs';

const check = process.argv.includes('--check');
const { compilerOptions } = JSON.parse(readFileSync(`${root}tsconfig.base.json`, 'utf8'));
const { target, lib, module, moduleResolution, types, strict, exactOptionalPropertyTypes } = compilerOptions;
const settings = {
  target,
  lib,
  module,
  moduleResolution,
  types,
  strict,
  exactOptionalPropertyTypes,
  skipLibCheck: true,
};
const quiet = { default: { logLevel: ExtractorLogLevel.None } };
for (const folder of ['build/api', 'api']) mkdirSync(`${root}${folder}`, { recursive: true });

let differs = false;
for (const entry of entries) {
  const report = `vecino${entry ? `-${entry}` : ''}.api.md`;
  const declarations = source(entry, 'dist', '.d.ts');
  const config = ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: `${root}package.json`,
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: declarations,
      newlineKind: 'lf',
      compiler: { overrideTsconfig: { compilerOptions: settings, files: [declarations] } },
      apiReport: {
        enabled: true,
        reportFileName: report,
        reportFolder: `${root}api`,
        reportTempFolder: `${root}build/api`,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      // Comments are the site's to check, and types that only compute others are not exported on purpose.
      messages: { extractorMessageReporting: quiet, tsdocMessageReporting: quiet },
    },
  });
  const result = Extractor.invoke(config, {
    localBuild: !check,
    messageCallback: (message) => {
      // Its own TypeScript need not be the one that built the declarations.
      if (message.logLevel !== ExtractorLogLevel.Error || message.category === 'console') message.handled = true;
    },
  });
  if (result.errorCount > 0) process.exit(1);
  if (!result.apiReportChanged) continue;
  differs = true;
  console.log(check ? `api/${report} is not what the sources export` : `api/${report} has changed`);
}
if (differs && check) {
  console.error('If the change is meant, run npm run api and commit what it writes.');
  process.exit(1);
}
