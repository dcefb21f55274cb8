/** What a report is shown as. All that it takes for that stays text in the bundle until it is asked for. */
export { htmlReport } from './html.ts';
export { markdownReport } from './markdown.ts';
