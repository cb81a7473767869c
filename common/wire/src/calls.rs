//! The calls of Nexus: for each operation what is sent and what comes back, as its row in the table of operations says. The
//! client and the handlers of Nexus are written once over [`Call`].

use bytes::Bytes;

use super::{JsonError, Operation, ReplyError};

/// One call. Its types have no values: they stand for the operation.
pub trait Call: Send + Sync + 'static {
    /// What is sent.
    type Request: Send + Sync;
    /// What comes back.
    type Reply;
    /// What is done.
    const OPERATION: Operation;

    /// Reads a request.
    ///
    /// # Errors
    /// [`JsonError`] when it is malformed.
    fn decode(body: &[u8]) -> Result<Self::Request, JsonError>;

    /// The request to send.
    fn encode(request: &Self::Request) -> Bytes;

    /// Reads the body of a 200.
    ///
    /// # Errors
    /// [`ReplyError`] when it is malformed or carries an error code.
    fn decode_reply(body: &[u8]) -> Result<Self::Reply, ReplyError>;

    /// The answer to send.
    fn encode_reply(reply: &Self::Reply) -> Bytes;
}

/// Declares calls: the operation, what is sent, what comes back.
macro_rules! calls {
    ($( $name:ident: $request:ty => $reply:ty; )*) => {
        $(
            #[doc = concat!("The call of [`Operation::", stringify!($name), "`].")]
            #[derive(Debug)]
            pub enum $name {}

            impl Call for $name {
                type Request = $request;
                type Reply = $reply;
                const OPERATION: Operation = Operation::$name;

                fn decode(body: &[u8]) -> Result<$request, JsonError> {
                    <$request>::decode(body)
                }

                fn encode(request: &$request) -> Bytes {
                    request.encode()
                }

                fn decode_reply(body: &[u8]) -> Result<$reply, ReplyError> {
                    <$reply>::decode(body)
                }

                fn encode_reply(reply: &$reply) -> Bytes {
                    reply.encode()
                }
            }
        )*

        const _: () = assert!(
            [$( Operation::$name, )*].len() == Operation::ALL.len(),
            "an operation has no call"
        );
    };
}
