// Builds the site: the pages of docs/ and the reference, in site/. Nothing in it needs a network.
//   npm run site
import { Application } from 'typedoc';
import { options } from './typedoc-options.mjs';

const app = await Application.bootstrapWithPlugins(options);
const project = await app.convert();
if (!project) process.exit(1);
app.validate(project);
if (!app.logger.hasErrors() && !app.logger.hasWarnings()) await app.generateOutputs(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
