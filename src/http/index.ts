export type {
  AcceptOptions,
  Action,
  Answer,
  Ask,
  Authorize,
  ErrorBody,
  HttpOptions,
  Links,
  ProblemBody,
  Right,
  RunBody,
} from './contract.ts'
