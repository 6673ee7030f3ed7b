// ids by order, not by path: the same source gives the same files in every folder
module.exports = { optimization: { moduleIds: 'natural' } };
