//! SQS, SSM parameters and the handling of batches.
